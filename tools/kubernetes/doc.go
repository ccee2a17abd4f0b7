// Package kubernetes holds no code: its tests check the manifests in
// deploy/kubernetes as `kubectl apply -k` would send them. They are built by
// kustomize, decoded strictly into Kubernetes's own types, which finds a field
// that is unknown, twice there or of the wrong type, and held against the
// restricted Pod Security Standard by Kubernetes's own checks. What only an API
// server says of values is not checked.
package kubernetes
