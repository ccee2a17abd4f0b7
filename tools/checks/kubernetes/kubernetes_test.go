package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const root = "../../.."

// manifests are all that is applied.
type manifests struct {
	namespace  corev1.Namespace
	config     corev1.ConfigMap
	deployment appsv1.Deployment
	budget     policyv1.PodDisruptionBudget
}

func build(t *testing.T) manifests {
	t.Helper()
	kustomizer := krusty.MakeKustomizer(krusty.MakeDefaultOptions())
	resources, err := kustomizer.Run(filesys.MakeFsOnDisk(), filepath.Join(root, "deploy/kubernetes"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	kinds := map[string]any{
		"v1 Namespace": &m.namespace, "v1 ConfigMap": &m.config, "apps/v1 Deployment": &m.deployment,
		"policy/v1 PodDisruptionBudget": &m.budget,
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
		if namespace := r.GetNamespace(); kind != "v1 Namespace" && namespace != "atlas-provisioner" {
			t.Errorf("%s is in namespace %q", kind, namespace)
		}
	}
	for kind := range kinds {
		t.Errorf("%s is missing", kind)
	}
	return m
}

func TestManifests(t *testing.T) {
	m := build(t)
	pod := m.deployment.Spec.Template
	if len(pod.Spec.Containers) != 1 {
		t.Fatalf("%d containers, want 1", len(pod.Spec.Containers))
	}
	worker := pod.Spec.Containers[0]

	for what, selector := range map[string]*metav1.LabelSelector{
		"Deployment": m.deployment.Spec.Selector, "PodDisruptionBudget": m.budget.Spec.Selector,
		"topologySpreadConstraints": pod.Spec.TopologySpreadConstraints[0].LabelSelector,
	} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s selects %v (%v), the pods have %v", what, s, err, pod.Labels)
		}
	}
	if most := m.budget.Spec.MaxUnavailable; most == nil || int(*m.deployment.Spec.Replicas) <= most.IntValue() {
		t.Errorf("the budget lets all %d workers go at once", *m.deployment.Spec.Replicas)
	}

	// A rolling restart takes as long as the worker needs to stop, and more.
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace == nil || *grace <= 10 {
		t.Error("terminationGracePeriodSeconds must be more than the 10 seconds that a stop takes")
	}
	for path, probe := range map[string]*corev1.Probe{
		"/healthz": worker.LivenessProbe, "/readyz": worker.ReadinessProbe,
	} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path ||
			probe.HTTPGet.Port.String() != worker.Ports[0].Name {
			t.Errorf("no probe asks %s", path)
		}
	}
	if address := m.config.Data["WORKER_HTTP_ADDRESS"]; address != ":8080" || worker.Ports[0].ContainerPort != 8080 {
		t.Errorf("the worker serves at %q, the probes ask port %d", address, worker.Ports[0].ContainerPort)
	}
	requests, limits := worker.Resources.Requests, worker.Resources.Limits
	if requests.Cpu().IsZero() || requests.Memory().IsZero() || limits.Memory().IsZero() {
		t.Error("resources lack a request of CPU or memory, or a limit of memory")
	}
	if !strings.Contains(worker.Image, ":") || strings.HasSuffix(worker.Image, ":latest") {
		t.Errorf("image %s is not pinned", worker.Image)
	}
}

// The API server's own admission code finds that the pods keep to the strictest Pod Security Standard.
func TestRestricted(t *testing.T) {
	m := build(t)
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := m.deployment.Spec.Template
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(
		api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
	if !result.Allowed {
		t.Errorf("forbidden: %s", result.ForbiddenDetail())
	}
	if level := m.namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace enforces %q, want restricted", level)
	}
	if fixed := pod.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem; fixed == nil || !*fixed {
		t.Error("the root file system is writable")
	}
}

// The ConfigMap holds what the worker reads, but no credential: that comes from a Secret that is not here.
func TestConfiguration(t *testing.T) {
	m := build(t)
	from := m.deployment.Spec.Template.Spec.Containers[0].EnvFrom
	if len(from) != 2 || from[0].ConfigMapRef == nil || from[0].ConfigMapRef.Name != m.config.Name ||
		from[1].SecretRef == nil || from[1].SecretRef.Name != "atlas-provisioner-credential" {
		t.Errorf("the environment is from %v, want ConfigMap %s, then Secret atlas-provisioner-credential",
			from, m.config.Name)
	}
	help, err := exec.CommandContext(t.Context(), "go", "run", "-C", root, "./cmd/worker", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(`SECRET|TOKEN|KEY`)
	for name := range m.config.Data {
		if !strings.Contains(string(help), name) && !strings.HasPrefix(name, "TEMPORAL_") {
			t.Errorf("the worker does not read %s", name)
		}
		if secret.MatchString(name) {
			t.Errorf("%s belongs into the Secret", name)
		}
	}
	files, err := os.ReadDir(filepath.Join(root, "deploy/kubernetes"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root, "deploy/kubernetes", file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "kind: Secret") {
			t.Errorf("%s holds a Secret: it would be committed", file.Name())
		}
	}
}
