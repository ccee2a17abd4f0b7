package kubernetes

import (
	"bytes"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

func TestManifests(t *testing.T) { eachOverlay(t, testManifests) }

func testManifests(t *testing.T, o overlay, m manifests) {
	pod, replicas := m.pods()
	if len(pod.Spec.Containers) != 1 {
		t.Fatalf("%d containers, want 1", len(pod.Spec.Containers))
	}
	worker := pod.Spec.Containers[0]

	selectors := map[string]*metav1.LabelSelector{
		"PodDisruptionBudget": m.budget.Spec.Selector, "NetworkPolicy": &m.networkPolicy.Spec.PodSelector,
		"PodMonitor":                &m.podMonitor.Spec.Selector,
		"topologySpreadConstraints": pod.Spec.TopologySpreadConstraints[0].LabelSelector,
	}
	if !o.versioned {
		selectors["Deployment"] = m.deployment.Spec.Selector
	}
	for what, selector := range selectors {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s selects %v (%v), the pods have %v", what, s, err, pod.Labels)
		}
	}
	if most := m.budget.Spec.MaxUnavailable; most == nil || int(*replicas) <= most.IntValue() {
		t.Errorf("the budget lets all %d workers go at once", *replicas)
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
	if !strings.Contains(worker.Image, ":") || strings.HasSuffix(worker.Image, ":latest") {
		t.Errorf("image %s is not pinned", worker.Image)
	}
	testMemory(t, worker)
	testMonitor(t, m, worker)
	testNetwork(t, m, worker)
}

// Go's garbage collector must work against its own limit before the kernel kills the process at the container's.
func testMemory(t *testing.T, worker corev1.Container) {
	t.Helper()
	requests, limit := worker.Resources.Requests, worker.Resources.Limits.Memory()
	if requests.Cpu().IsZero() || requests.Memory().IsZero() || limit.IsZero() {
		t.Fatal("resources lack a request of CPU or memory, or a limit of memory")
	}
	if len(worker.Env) != 1 || worker.Env[0].Name != "GOMEMLIMIT" {
		t.Fatalf("the environment is %v, want GOMEMLIMIT", worker.Env)
	}
	// Go writes MiB for what Kubernetes writes Mi.
	soft, err := resource.ParseQuantity(strings.TrimSuffix(worker.Env[0].Value, "B"))
	if err != nil || !strings.HasSuffix(worker.Env[0].Value, "iB") {
		t.Fatalf("GOMEMLIMIT is %q: %v", worker.Env[0].Value, err)
	}
	if part := float64(soft.Value()) / float64(limit.Value()); part < 0.8 || part > 0.9 {
		t.Errorf("GOMEMLIMIT is %.2f of the limit of memory, want 0.8 to 0.9", part)
	}
}

// Prometheus scrapes the worker under the job that the alerts look for.
func testMonitor(t *testing.T, m manifests, worker corev1.Container) {
	t.Helper()
	endpoints := m.podMonitor.Spec.PodMetricsEndpoints
	if len(endpoints) != 1 || endpoints[0].Port == nil || *endpoints[0].Port != worker.Ports[0].Name ||
		endpoints[0].Path != "/metrics" {
		t.Errorf("Prometheus scrapes %v, want /metrics at the port %s", endpoints, worker.Ports[0].Name)
	}
	pod, _ := m.pods()
	if job := pod.Labels[m.podMonitor.Spec.JobLabel]; job != "atlas-provisioner" {
		t.Errorf("the job is %q, want atlas-provisioner", job)
	}
}

// Only Prometheus comes in, and the worker gets out to DNS, Temporal and Atlas.
func testNetwork(t *testing.T, m manifests, worker corev1.Container) {
	t.Helper()
	spec := m.networkPolicy.Spec
	if len(spec.PolicyTypes) != 2 || len(spec.Ingress) != 1 || len(spec.Egress) != 1 {
		t.Fatalf("want a rule for each direction, got %v", spec)
	}
	if len(spec.Ingress[0].From) == 0 || len(spec.Ingress[0].Ports) != 1 ||
		*spec.Ingress[0].Ports[0].Port != intstr.FromString(worker.Ports[0].Name) {
		t.Errorf("lets in %v, want some to the port %s", spec.Ingress[0], worker.Ports[0].Name)
	}
	_, text, err := net.SplitHostPort(m.config.Data["TEMPORAL_ADDRESS"])
	if err != nil {
		t.Fatal(err)
	}
	temporal, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{temporal, 443, 53} {
		if !slices.ContainsFunc(spec.Egress[0].Ports, func(p networkingv1.NetworkPolicyPort) bool {
			return *p.Protocol == corev1.ProtocolTCP && *p.Port == intstr.FromInt(want)
		}) {
			t.Errorf("the worker does not get out to port %d", want)
		}
	}
}

// The API server's own admission code finds that the pods keep to the strictest Pod Security Standard.
func TestRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	eachOverlay(t, func(t *testing.T, _ overlay, m manifests) {
		pod, _ := m.pods()
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
	})
}

// The ConfigMap holds what the worker reads, but nothing secret: that comes from Secrets that are not here, and without
// which no pod starts.
func TestConfiguration(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), "go", "run", "-C", root, "./cmd/worker", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(`SECRET|TOKEN|KEY`)
	eachOverlay(t, func(t *testing.T, o overlay, m manifests) {
		pod, _ := m.pods()
		from := pod.Spec.Containers[0].EnvFrom
		if from[0].ConfigMapRef == nil || from[0].ConfigMapRef.Name != m.config.Name {
			t.Errorf("the environment is from %v, want the ConfigMap %s first", from, m.config.Name)
		}
		var secrets []string
		for _, source := range from[1:] {
			if source.SecretRef == nil || source.SecretRef.Optional != nil {
				t.Fatalf("the environment is from %v, want a Secret that must be there", source)
			}
			secrets = append(secrets, source.SecretRef.Name)
		}
		if !slices.Equal(secrets, o.secrets) {
			t.Errorf("the environment is from the Secrets %v, want %v", secrets, o.secrets)
		}
		for name := range m.config.Data {
			if !strings.Contains(string(help), name) && !strings.HasPrefix(name, "TEMPORAL_") {
				t.Errorf("the worker does not read %s", name)
			}
			if secret.MatchString(name) {
				t.Errorf("%s belongs into a Secret", name)
			}
		}
	})
}

// No Secret is in the repository, and operations.md says how to make each, and how to apply each overlay.
func TestSecretsAndOverlaysAreDocumented(t *testing.T) {
	err := filepath.WalkDir(kubernetes, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "kind: Secret") {
			t.Errorf("%s holds a Secret: it would be committed", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{credential, payloadKeys} {
		if !strings.Contains(string(document), "kubectl create secret generic "+name+" -n atlas-provisioner ") {
			t.Errorf("operations.md does not make the Secret %s", name)
		}
	}
	folders, err := os.ReadDir(filepath.Join(kubernetes, "overlays"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !slices.ContainsFunc(overlays, func(o overlay) bool { return o.name == folder.Name() }) {
			t.Errorf("the overlay %s is not in this test's table: add it", folder.Name())
		}
		if !strings.Contains(string(document), "overlays/"+folder.Name()) {
			t.Errorf("operations.md does not name overlays/%s", folder.Name())
		}
	}
}

// equal compares what an API server would get.
func equal(t *testing.T, a, b corev1.PodTemplateSpec) bool {
	t.Helper()
	first, err := yaml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := yaml.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(first, second)
}
