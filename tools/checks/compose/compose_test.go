package compose

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../../.."

// loadAsWritten loads docker-compose.yml with every profile on and without filling in variables. Loading validates it
// against the compose specification's schema, which refuses keys that it does not know.
func loadAsWritten(t *testing.T) *types.Project {
	t.Helper()
	return load(t, cli.WithProfiles([]string{"*"}), cli.WithInterpolation(false), cli.WithoutEnvironmentResolution)
}

func load(t *testing.T, options ...cli.ProjectOptionsFn) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, options...)
	if err != nil {
		t.Fatal(err)
	}
	project, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("docker-compose.yml does not load: %v", err)
	}
	return project
}

func TestServices(t *testing.T) {
	const (
		healthy   = types.ServiceConditionHealthy
		completed = types.ServiceConditionCompletedSuccessfully
	)
	tests := []struct {
		service  string
		profiles []string
		oneShot  bool
		waitsFor map[string]string
	}{
		{service: "postgresql"},
		{service: "temporal-schema", oneShot: true, waitsFor: map[string]string{"postgresql": healthy}},
		{service: "temporal", waitsFor: map[string]string{"postgresql": healthy, "temporal-schema": completed}},
		{service: "temporal-namespace", oneShot: true, waitsFor: map[string]string{"temporal": healthy}},
		{service: "temporal-ui", waitsFor: map[string]string{"temporal": healthy}},
		{service: "worker", waitsFor: map[string]string{
			"temporal": healthy, "temporal-namespace": completed, "atlas-sim": healthy,
		}},
		{service: "atlas-sim", profiles: []string{"sim"}},
		{service: "prometheus", profiles: []string{"monitoring"}},
		{service: "jaeger", profiles: []string{"monitoring"}},
		{service: "grafana", profiles: []string{"monitoring"}, waitsFor: map[string]string{"prometheus": healthy}},
	}
	project := loadAsWritten(t)
	for _, tt := range tests {
		t.Run(tt.service, func(t *testing.T) {
			service, ok := project.Services[tt.service]
			if !ok {
				t.Fatalf("there is no service %s", tt.service)
			}
			delete(project.Services, tt.service)

			if !slices.Equal(service.Profiles, tt.profiles) {
				t.Errorf("profiles are %v, want %v", service.Profiles, tt.profiles)
			}
			waitsFor := map[string]string{}
			for name, dependency := range service.DependsOn {
				waitsFor[name] = dependency.Condition
			}
			if !maps.Equal(waitsFor, tt.waitsFor) {
				t.Errorf("depends_on is %v, want %v", waitsFor, tt.waitsFor)
			}
			if tt.oneShot {
				if service.Restart != "no" {
					t.Errorf("restart is %q, want no: a one-shot service that restarts never completes",
						service.Restart)
				}
				return
			}
			if service.HealthCheck == nil || len(service.HealthCheck.Test) < 2 {
				t.Error("has no health check: add one, others can then wait for it")
			}
			if service.Restart != "unless-stopped" {
				t.Errorf("restart is %q, want %q", service.Restart, "unless-stopped")
			}
		})
	}
	for name := range project.Services {
		t.Errorf("service %s is not in this test's table: add it", name)
	}
}

func TestStartsWithoutTheSimulator(t *testing.T) {
	project := load(t)
	if _, on := project.Services["atlas-sim"]; on {
		t.Error("atlas-sim starts without its profile")
	}
	if dependency := loadAsWritten(t).Services["worker"].DependsOn["atlas-sim"]; dependency.Required {
		t.Error("worker requires atlas-sim: set required: false, or it does not start without the profile")
	}
}

// pinned matches an image whose tag starts with a complete version, which for PostgreSQL has two numbers.
var pinned = regexp.MustCompile(`^(postgres:\d+\.\d+|.+:v?\d+\.\d+\.\d+)(-.+)?$`)

func TestImagesArePinned(t *testing.T) {
	for name, service := range loadAsWritten(t).Services {
		if service.Build != nil {
			if service.PullPolicy != types.PullPolicyBuild {
				t.Errorf("%s: pull_policy is %q, want %q: an image of this name on a registry is not ours",
					name, service.PullPolicy, types.PullPolicyBuild)
			}
			continue
		}
		if !pinned.MatchString(service.Image) {
			t.Errorf("%s: image %s is not pinned: give it an exact version", name, service.Image)
		}
		if strings.Contains(service.Image, "auto-setup") {
			t.Errorf("%s: %s is no longer maintained: use temporalio/server and temporalio/admin-tools",
				name, service.Image)
		}
	}
}

func TestServerAndToolsAreOneVersion(t *testing.T) {
	services := loadAsWritten(t).Services
	_, server, _ := strings.Cut(services["temporal"].Image, ":")
	for _, name := range []string{"temporal-schema", "temporal-namespace"} {
		_, tools, _ := strings.Cut(services[name].Image, ":")
		if version, _, _ := strings.Cut(tools, "-"); version != server {
			t.Errorf("%s is of version %s, temporal of %s: the schema would not fit", name, version, server)
		}
	}
}

// tools/server/go.mod has the version of the server of make chaos-postgres.
func TestServerIsTheTestedVersion(t *testing.T) {
	_, server, _ := strings.Cut(loadAsWritten(t).Services["temporal"].Image, ":")
	if want := "\tgo.temporal.io/server v" + server + " "; !strings.Contains(read(t, "tools/server/go.mod"), want) {
		t.Errorf("tools/server/go.mod has another Temporal server than docker-compose.yml: want %q", want)
	}
}

// The document names both ends of the range of servers that tests run on: that of the Temporal CLI and that of
// docker-compose.yml.
func TestTestedServersAreDocumented(t *testing.T) {
	versions := submatches(`go\.temporal\.io/server v(\S+)`, read(t, "tools/go.mod")+read(t, "tools/server/go.mod"))
	want := fmt.Sprintf("Tested with Temporal server %s", strings.Join(versions, " and "))
	if document := read(t, "docs/production.md"); !strings.Contains(document, want) {
		t.Errorf("docs/production.md does not say %q", want)
	}
}

// The server's image has no dynamic configuration of its own. make chaos-postgres runs with the same file, and finds
// keys that the server does not know.
func TestDynamicConfig(t *testing.T) {
	server := loadAsWritten(t).Services["temporal"]
	mounted := slices.ContainsFunc(server.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Target == *server.Environment["DYNAMIC_CONFIG_FILE_PATH"] &&
			strings.HasSuffix(v.Source, "/deploy/compose/temporal-dynamic-config.yaml")
	})
	if !mounted {
		t.Error("DYNAMIC_CONFIG_FILE_PATH is not where deploy/compose/temporal-dynamic-config.yaml is mounted")
	}
}

// PostgreSQL accepts all connections that the pools of the server's four services may open, and some more.
func TestConnections(t *testing.T) {
	const (
		services = 4
		more     = 20 // for temporal-schema, backups and a look by hand
	)
	s := loadAsWritten(t).Services
	pools := 0
	for _, name := range []string{"SQL_MAX_CONNS", "SQL_VIS_MAX_CONNS"} {
		size, err := strconv.Atoi(*s["temporal"].Environment[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pools += size
	}
	accepted := submatches(`max_connections=(\d+)`, strings.Join(s["postgresql"].Command, " "))
	if len(accepted) != 1 {
		t.Fatalf("the command of postgresql sets max_connections %d times, want once", len(accepted))
	}
	if n, err := strconv.Atoi(accepted[0]); err != nil || n < services*pools+more {
		t.Errorf("PostgreSQL accepts %d connections, want %d or more", n, services*pools+more)
	}
}

func TestPortsAreOnLoopback(t *testing.T) {
	for name, service := range loadAsWritten(t).Services {
		for _, port := range service.Ports {
			if ip, err := netip.ParseAddr(port.HostIP); err != nil || !ip.IsLoopback() {
				t.Errorf("%s: port %s is open to the network: publish it as 127.0.0.1:%s:%d",
					name, port.Published, port.Published, port.Target)
			}
		}
	}
}

func TestMountedFilesExist(t *testing.T) {
	for name, service := range loadAsWritten(t).Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s: %v: Docker would make an empty folder of it", name, err)
			}
			if !volume.ReadOnly {
				t.Errorf("%s: %s is mounted for writing, add :ro", name, volume.Source)
			}
		}
	}
}

// workerEnvironment is what the worker reads from its environment, as in docs/configuration.md. The value is true where
// docker-compose.yml sets the variable itself.
var workerEnvironment = map[string]bool{
	"TEMPORAL_ADDRESS":              true,
	"TEMPORAL_NAMESPACE":            true,
	"WORKER_HTTP_ADDRESS":           true,
	"TEMPORAL_TASK_QUEUE":           false,
	"TEMPORAL_DEPLOYMENT_NAME":      false,
	"TEMPORAL_WORKER_BUILD_ID":      false,
	"MONGODB_ATLAS_BASE_URL":        false,
	"MONGODB_ATLAS_ALLOW_HTTP":      false,
	"MONGODB_ATLAS_CLIENT_ID":       false,
	"MONGODB_ATLAS_CLIENT_SECRET":   false,
	"MONGODB_ATLAS_PUBLIC_API_KEY":  false,
	"MONGODB_ATLAS_PRIVATE_API_KEY": false,
	"MONGODB_ATLAS_ACCESS_TOKEN":    false,
	"TEMPORAL_PAYLOAD_KEYS":         false,
	"TEMPORAL_CODEC_ORIGINS":        false,
	"TEMPORAL_CODEC_TOKEN":          false,
	"OTEL_EXPORTER_OTLP_ENDPOINT":   false,
	"OTEL_EXPORTER_OTLP_HEADERS":    false,
	"OTEL_EXPORTER_OTLP_PROTOCOL":   false,
	"OTEL_RESOURCE_ATTRIBUTES":      false,
	"OTEL_SERVICE_NAME":             false,
	"OTEL_TRACES_SAMPLER":           false,
	"OTEL_TRACES_SAMPLER_ARG":       false,
	"LOG_LEVEL":                     false,
	"LOG_FORMAT":                    false,
}

func TestWorkerEnvironment(t *testing.T) {
	environment := loadAsWritten(t).Services["worker"].Environment
	for name, value := range environment {
		set, known := workerEnvironment[name]
		switch {
		case !known:
			t.Errorf("the worker is given %s, which it does not read", name)
		case !set && value != nil:
			t.Errorf("%s has a value: leave it empty, so that it comes from .env or the shell, or is not set", name)
		case set && value == nil:
			t.Errorf("%s needs a value", name)
		}
	}
	for name := range workerEnvironment {
		if _, ok := environment[name]; !ok {
			t.Errorf("%s does not reach the worker: add it", name)
		}
	}
}

var secretName = regexp.MustCompile(`PASSWORD|PWD|SECRET|TOKEN|KEY`)

func TestSecretsComeFromVariables(t *testing.T) {
	for service, config := range loadAsWritten(t).Services {
		for name, value := range config.Environment {
			if value != nil && secretName.MatchString(name) && !strings.HasPrefix(*value, "${") {
				t.Errorf("%s: the value of %s is written in the file: take it from a variable",
					service, name)
			}
		}
	}
}

func TestSimulatorSettings(t *testing.T) {
	settings := filepath.Join(root, "deploy/compose/sim.env")
	project := load(t, cli.WithEnvFiles(settings), cli.WithDotEnv, cli.WithProfiles([]string{"sim"}))
	worker, sim := project.Services["worker"], project.Services["atlas-sim"]

	got := atlasSettings(worker)
	if want := fmt.Sprintf("http://%s:%d", sim.Name, sim.Ports[0].Target); got["MONGODB_ATLAS_BASE_URL"] != want {
		t.Errorf("MONGODB_ATLAS_BASE_URL is %q, want %q", got["MONGODB_ATLAS_BASE_URL"], want)
	}
	names := slices.Sorted(maps.Keys(got))
	want := []string{
		"MONGODB_ATLAS_ALLOW_HTTP", "MONGODB_ATLAS_BASE_URL", "MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_CLIENT_SECRET",
	}
	if !slices.Equal(names, want) {
		t.Errorf("with sim.env the worker gets %v, want %v", names, want)
	}
	delete(got, "MONGODB_ATLAS_BASE_URL")
	delete(got, "MONGODB_ATLAS_ALLOW_HTTP")
	if accepted := atlasSettings(sim); !maps.Equal(accepted, got) {
		t.Errorf("atlas-sim accepts %v, but the worker presents %v", accepted, got)
	}
}

// Traces go to Jaeger with monitoring.env, and nowhere without it.
func TestTraceSettings(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	if value := load(t).Services["worker"].Environment[endpoint]; value != nil && *value != "" {
		t.Errorf("without monitoring.env the worker sends its traces to %s", *value)
	}
	settings := filepath.Join(root, "deploy/compose/monitoring.env")
	project := load(t, cli.WithEnvFiles(settings), cli.WithDotEnv, cli.WithProfiles([]string{"monitoring"}))
	value := project.Services["worker"].Environment[endpoint]
	if value == nil {
		t.Fatalf("with monitoring.env %s does not reach the worker", endpoint)
	}
	u, err := url.Parse(*value)
	if err != nil {
		t.Fatal(err)
	}
	collector, on := project.Services[u.Hostname()]
	if !on || !slices.ContainsFunc(collector.Ports, func(p types.ServicePortConfig) bool {
		return strconv.Itoa(int(p.Target)) == u.Port()
	}) {
		t.Errorf("no service of the profile takes traces at %s", u)
	}
}

// Each data source of Grafana is a service of the profile.
func TestDataSources(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "deploy/monitoring/grafana/provisioning/datasources/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no data sources: %v", err)
	}
	services := loadAsWritten(t).Services
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range submatches(`(?m)^ +url: http://([\w-]+):\d+$`, string(content)) {
			if service, ok := services[host]; !ok || !slices.Equal(service.Profiles, []string{"monitoring"}) {
				t.Errorf("%s: %s is no service of the profile monitoring", file, host)
			}
		}
	}
}

// atlasSettings are the MONGODB_ATLAS_ variables that reach the service.
func atlasSettings(service types.ServiceConfig) map[string]string {
	settings := map[string]string{}
	for name, value := range service.Environment {
		if value != nil && strings.HasPrefix(name, "MONGODB_ATLAS_") {
			settings[name] = *value
		}
	}
	return settings
}

func TestDockerfile(t *testing.T) {
	dockerfile := read(t, "Dockerfile")

	built := submatches(`\./cmd/([\w-]+)`, dockerfile)
	copied := submatches(`/out/([\w-]+)\b`, strings.Join(submatches(`(?m)^COPY --from=build (.*)$`, dockerfile), " "))
	if len(built) == 0 || !slices.Equal(built, copied) {
		t.Errorf("builds %v, but copies %v into the image", built, copied)
	}
	for _, program := range built {
		if files, _ := filepath.Glob(filepath.Join(root, "cmd", program, "*.go")); len(files) == 0 {
			t.Errorf("builds ./cmd/%s, which has no Go file", program)
		}
	}
	for name, service := range loadAsWritten(t).Services {
		if service.Build == nil {
			continue
		}
		for _, command := range [][]string{service.Entrypoint, service.HealthCheck.Test[1:]} {
			if len(command) > 0 && !slices.Contains(copied, strings.TrimPrefix(command[0], "/")) {
				t.Errorf("%s runs %s, which is not in the image", name, command[0])
			}
		}
	}

	for _, image := range submatches(`(?m)^FROM (?:--\S+ )?(\S+)`, dockerfile) {
		if _, tag, _ := strings.Cut(image, ":"); tag == "" || strings.Contains(tag, "latest") {
			t.Errorf("image %s is not pinned", image)
		}
	}
	if !strings.Contains(dockerfile, "\n  CMD [\"/worker\", \"healthcheck\"]\n") {
		t.Error("has no HEALTHCHECK that runs /worker healthcheck")
	}
	if !strings.Contains(dockerfile, "\nUSER nonroot") {
		t.Error("the programs run as root: add USER nonroot:nonroot")
	}
}

// The image's compiler is used as it is (GOTOOLCHAIN=local), so it must not be older than go.mod asks for.
func TestDockerfileCompiler(t *testing.T) {
	image := submatches(`golang:(\d+\.\d+)\.\d+-`, read(t, "Dockerfile"))
	module := submatches(`(?m)^go (\d+\.\d+)`, read(t, "go.mod"))
	if len(image) != 1 || !slices.Equal(image, module) {
		t.Errorf("the Dockerfile builds with Go %v, go.mod says %v", image, module)
	}
}

func TestDotEnvStaysOutOfTheImage(t *testing.T) {
	if !slices.Contains(strings.Split(read(t, ".dockerignore"), "\n"), "**/.*") {
		t.Error("add **/.* to .dockerignore: an .env with credentials would be sent to the build")
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// submatches returns the first group of each match.
func submatches(pattern, text string) []string {
	var groups []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		groups = append(groups, match[1])
	}
	return groups
}
