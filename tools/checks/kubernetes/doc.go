// Package kubernetes holds no code. Its tests check the manifests of each overlay in deploy/kubernetes, as kubectl
// would send them. Kustomize builds them. They are decoded strictly into the types of Kubernetes and of the Prometheus
// operator, which finds a field that is unknown, duplicate or of the wrong type. Kubernetes's own checks compare the
// pods with the restricted Pod Security Standard. What only an API server checks of values is not checked.
package kubernetes
