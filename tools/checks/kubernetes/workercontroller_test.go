package kubernetes

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of Temporal's worker controller, as far as the manifests use them: a field that is not here is refused. Its
// module github.com/temporalio/temporal-worker-controller is not on the Go module proxy that the other types come from.

type workerDeployment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Replicas      *int32                 `json:"replicas"`
		Template      corev1.PodTemplateSpec `json:"template"`
		WorkerOptions struct {
			ConnectionRef     corev1.LocalObjectReference `json:"connectionRef"`
			TemporalNamespace string                      `json:"temporalNamespace"`
		} `json:"workerOptions"`
		Rollout struct {
			Strategy string        `json:"strategy"` // Manual, AllAtOnce or Progressive
			Steps    []rolloutStep `json:"steps"`
		} `json:"rollout"`
		Sunset struct {
			ScaledownDelay metav1.Duration `json:"scaledownDelay"`
			DeleteDelay    metav1.Duration `json:"deleteDelay"`
		} `json:"sunset"`
	} `json:"spec"`
}

type rolloutStep struct {
	RampPercentage int             `json:"rampPercentage"`
	PauseDuration  metav1.Duration `json:"pauseDuration"`
}

type connection struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		HostPort string `json:"hostPort"`
	} `json:"spec"`
}

// What the API server checks of a WorkerDeployment by the rules of its definition, and that the controller reaches the
// same Temporal as the workers.
func TestWorkerDeployment(t *testing.T) {
	versioned := overlays[len(overlays)-1]
	m := build(t, versioned)
	spec := m.workerDeployment.Spec

	if host := m.config.Data["TEMPORAL_ADDRESS"]; m.connection.Spec.HostPort != host {
		t.Errorf("the controller reaches Temporal at %q, the workers at %q", m.connection.Spec.HostPort, host)
	}
	if got, want := spec.WorkerOptions.TemporalNamespace, m.config.Data["TEMPORAL_NAMESPACE"]; got != want {
		t.Errorf("the controller uses the namespace %q, the workers %q", got, want)
	}
	if ref := spec.WorkerOptions.ConnectionRef.Name; ref != m.connection.Name {
		t.Errorf("the connection is %q, want %q", ref, m.connection.Name)
	}

	if spec.Rollout.Strategy != "Progressive" {
		t.Errorf("the strategy is %q, want Progressive", spec.Rollout.Strategy)
	}
	var percentages []int
	for _, step := range spec.Rollout.Steps {
		percentages = append(percentages, step.RampPercentage)
		if step.PauseDuration.Duration < 30*time.Second {
			t.Errorf("a step pauses for %s, the controller takes 30 s or more", step.PauseDuration.Duration)
		}
	}
	if len(percentages) == 0 || percentages[0] < 1 || percentages[len(percentages)-1] > 99 ||
		!slices.IsSorted(percentages) {
		t.Errorf("the steps are %v percent, want some that rise from 1 to 99", percentages)
	}

	production := build(t, overlays[1])
	want, replicas := production.pods()
	if got, n := m.pods(); !equal(t, got, want) || *n != *replicas {
		t.Error("the pods are not those of production")
	}
}
