// Package kubernetes holds no code. Its tests check the manifests of each overlay in deploy/kubernetes as `kubectl apply -k` would
// send them. Kustomize builds them. They are decoded strictly into Kubernetes's own types, which finds a field that
// is unknown, duplicate or of the wrong type. Kubernetes's own checks compare them with the restricted Pod Security
// Standard. What only an API server checks of values is not checked.
package kubernetes
