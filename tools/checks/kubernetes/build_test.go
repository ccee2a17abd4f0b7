package kubernetes

import (
	"path/filepath"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	root       = "../../.."
	kubernetes = root + "/deploy/kubernetes"
)

// manifests are all that an overlay applies.
type manifests struct {
	namespace     corev1.Namespace
	config        corev1.ConfigMap
	budget        policyv1.PodDisruptionBudget
	networkPolicy networkingv1.NetworkPolicy
	podMonitor    monitoringv1.PodMonitor
	// deployment is there in every overlay but versioned, which has the next two in its place.
	deployment       appsv1.Deployment
	workerDeployment workerDeployment
	connection       connection
}

// overlay is what a folder of deploy/kubernetes/overlays is checked against.
type overlay struct {
	name string
	// namespace is that of Kubernetes.
	namespace string
	// secrets are those that the pods read their environment from.
	secrets []string
	// versioned tells that Temporal's worker controller makes the Deployments.
	versioned bool
}

var overlays = []overlay{
	{name: "staging", namespace: "atlas-provisioner-staging", secrets: []string{credential}},
	{name: "production", namespace: "atlas-provisioner", secrets: []string{credential, payloadKeys}},
	{name: "versioned", namespace: "atlas-provisioner", secrets: []string{credential, payloadKeys}, versioned: true},
}

// The Secrets, which people make by hand.
const (
	credential  = "atlas-provisioner-credential"
	payloadKeys = "atlas-provisioner-payload-keys"
)

// eachOverlay runs a test for each overlay.
func eachOverlay(t *testing.T, test func(t *testing.T, o overlay, m manifests)) {
	for _, o := range overlays {
		t.Run(o.name, func(t *testing.T) { test(t, o, build(t, o)) })
	}
}

func build(t *testing.T, o overlay) manifests {
	t.Helper()
	kustomizer := krusty.MakeKustomizer(krusty.MakeDefaultOptions())
	resources, err := kustomizer.Run(filesys.MakeFsOnDisk(), filepath.Join(kubernetes, "overlays", o.name))
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	kinds := map[string]any{
		"v1 Namespace": &m.namespace, "v1 ConfigMap": &m.config, "policy/v1 PodDisruptionBudget": &m.budget,
		"networking.k8s.io/v1 NetworkPolicy": &m.networkPolicy, "monitoring.coreos.com/v1 PodMonitor": &m.podMonitor,
	}
	if o.versioned {
		kinds["temporal.io/v1alpha1 WorkerDeployment"] = &m.workerDeployment
		kinds["temporal.io/v1alpha1 Connection"] = &m.connection
	} else {
		kinds["apps/v1 Deployment"] = &m.deployment
	}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind := r.GetApiVersion() + " " + r.GetKind()
		into, ok := kinds[kind]
		if !ok {
			t.Fatalf("%s is there twice, or new: add it to this test", kind)
		}
		delete(kinds, kind)
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if namespace := r.GetNamespace(); kind != "v1 Namespace" && namespace != o.namespace {
			t.Errorf("%s is in namespace %q, want %q", kind, namespace, o.namespace)
		}
	}
	for kind := range kinds {
		t.Errorf("%s is missing", kind)
	}
	if m.namespace.Name != o.namespace {
		t.Errorf("the namespace is %q, want %q", m.namespace.Name, o.namespace)
	}
	return m
}

// pods are those of the workers.
func (m manifests) pods() (template corev1.PodTemplateSpec, replicas *int32) {
	if m.workerDeployment.Name != "" {
		return m.workerDeployment.Spec.Template, m.workerDeployment.Spec.Replicas
	}
	return m.deployment.Spec.Template, m.deployment.Spec.Replicas
}
