package env

import (
	"slices"
	"strings"
)

// A Program reads the environment.
type Program string

// The programs that read the environment.
const (
	Worker  Program = "worker"
	Starter Program = "starter"
)

// Variable is a variable of the environment, or several that mean one thing together. The help of the worker and
// docs/configuration.md are made from it.
type Variable struct {
	// Names end in "…" where they stand for all names that begin so.
	Names []string
	// ReadBy are the programs that read it.
	ReadBy []Program
	// Meaning is a phrase without a full stop.
	Meaning string
	// Default is a value, or a phrase that says what happens without one. "" means nothing.
	Default string
	// Page is where docs/configuration.md sends readers for more; "" is nowhere.
	Page string
}

// Section is a part of the table of variables.
type Section struct {
	Title string
	// Note says what holds for all of its variables; "" is nothing.
	Note      string
	Variables []Variable
}

// Who reads a variable.
var (
	both    = []Program{Worker, Starter}
	worker  = []Program{Worker}
	starter = []Program{Starter}
)

var sections = []Section{
	{
		Title: "Temporal",
		Variables: []Variable{
			{
				Names: []string{
					"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_TLS", "TEMPORAL_TLS_…",
					"TEMPORAL_GRPC_META_…", "TEMPORAL_CLIENT_AUTHORITY", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE",
				},
				ReadBy:  both,
				Meaning: "as Temporal's own tools, TOML profiles included",
				Default: "localhost:7233, namespace default",
				Page:    "https://docs.temporal.io/develop/environment-configuration",
			},
			{
				Names: []string{"TEMPORAL_TASK_QUEUE"}, ReadBy: both,
				Meaning: "task queue", Default: "atlas-provisioning",
			},
			{
				Names: []string{"TEMPORAL_UI_URL"}, ReadBy: starter,
				Meaning: "where the Web UI is, for links",
				Default: "the dev server's or Temporal Cloud's, by the address",
			},
			{
				Names:   []string{"TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"},
				ReadBy:  worker,
				Meaning: "the version of this worker: runs end on the build that they begin on",
				Default: "no versioning",
				Page:    "deploys.md",
			},
		},
	},
	{
		Title: "Atlas",
		Variables: []Variable{
			{
				Names: []string{"MONGODB_ATLAS_BASE_URL"}, ReadBy: worker,
				Meaning: "root of the API", Default: "https://cloud.mongodb.com",
			},
			{
				Names: []string{"MONGODB_ATLAS_ALLOW_HTTP"}, ReadBy: worker,
				Meaning: "true permits a plain-http base URL off loopback, for a simulator on a container network",
				Default: "false",
			},
		},
	},
	{
		Title: "Atlas credential",
		Note:  "Exactly one kind.",
		Variables: []Variable{
			{
				Names:  []string{"MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_CLIENT_SECRET"},
				ReadBy: worker, Meaning: "service account (OAuth 2.0)",
			},
			{
				Names:  []string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PRIVATE_API_KEY"},
				ReadBy: worker, Meaning: "API key (HTTP digest)",
			},
			{Names: []string{"MONGODB_ATLAS_ACCESS_TOKEN"}, ReadBy: worker, Meaning: "a ready bearer token"},
		},
	},
	{
		Title: "Encryption of payloads",
		Variables: []Variable{
			{
				Names: []string{"TEMPORAL_PAYLOAD_KEYS"}, ReadBy: both,
				Meaning: "keys as ID:BASE64, with commas between them; the first encrypts",
				Default: "nothing is encrypted",
				Page:    "encryption.md",
			},
			{
				Names: []string{"TEMPORAL_PAYLOAD_KEYS_FILE"}, ReadBy: both,
				Meaning: "a file with the same, one key a line; not both",
			},
			{
				Names: []string{"TEMPORAL_CODEC_ORIGINS"}, ReadBy: worker,
				Meaning: "origins of the Web UIs that may call /codec/ at WORKER_HTTP_ADDRESS",
				Default: "off",
			},
			{
				Names: []string{"TEMPORAL_CODEC_TOKEN"}, ReadBy: worker,
				Meaning: "the bearer token that callers of /codec/ must send",
				Default: "Temporal decides who may call",
			},
		},
	},
	{
		Title: "Health and logs",
		Variables: []Variable{
			{
				Names: []string{"WORKER_HTTP_ADDRESS"}, ReadBy: worker,
				Meaning: "where /healthz, /readyz and /metrics are served, such as :8080",
				Default: "nowhere",
				Page:    "operations.md",
			},
			{
				Names: []string{"LOG_LEVEL"}, ReadBy: worker,
				Meaning: "debug, info, warn or error", Default: "info",
			},
			{Names: []string{"LOG_FORMAT"}, ReadBy: worker, Meaning: "json or console", Default: "json"},
		},
	},
	{
		Title: "Traces",
		Variables: []Variable{
			{
				Names:   []string{"OTEL_EXPORTER_OTLP_ENDPOINT"},
				ReadBy:  both,
				Meaning: "where traces go, such as http://localhost:4318",
				Default: "nowhere",
				Page:    "production.md#traces",
			},
			{
				Names:   []string{"OTEL_…"},
				ReadBy:  both,
				Meaning: "the other variables of OpenTelemetry's specification",
				Page:    "https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/",
			},
			{
				Names: []string{"TRACEPARENT", "TRACESTATE"}, ReadBy: starter,
				Meaning: "the caller's span, below which the command's begins", Default: "the command begins a trace",
			},
		},
	},
	{
		Title: "Output",
		Variables: []Variable{
			{
				Names: []string{"NO_COLOR"}, ReadBy: starter,
				Meaning: "any value turns the colours off", Default: "colours on a terminal",
			},
		},
	},
	{
		Title: "Network",
		Variables: []Variable{
			{
				Names: []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}, ReadBy: both,
				Meaning: "proxies, as everywhere in Go; lower case works too", Default: "no proxy",
			},
			{
				Names: []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}, ReadBy: both,
				Meaning: "certificates that are trusted in place of the system's",
				Default: "the system's",
			},
		},
	},
}

// Sections is the table of all variables that the programs read.
func Sections() []Section { return slices.Clone(sections) }

// Help is the table for the help of a program, without the variables that it does not read.
func Help(program Program) string {
	var b strings.Builder
	for i, section := range Sections() {
		title := section.Title
		if section.Note != "" {
			title += " (" + strings.ToLower(strings.TrimSuffix(section.Note, ".")) + ")"
		}
		title += ":\n"
		if i > 0 {
			title = "\n" + title
		}
		for _, v := range section.Variables {
			if !slices.Contains(v.ReadBy, program) {
				continue
			}
			b.WriteString(title)
			title = ""
			writeWrapped(&b, "  ", strings.Join(v.Names, ", "))
			meaning := v.Meaning
			if v.Default != "" {
				meaning += "; default: " + v.Default
			}
			writeWrapped(&b, "      ", meaning)
		}
	}
	return b.String()
}

// helpWidth is the width of the help in columns.
const helpWidth = 80

// writeWrapped writes a text in lines of helpWidth at most, each after an indentation.
func writeWrapped(b *strings.Builder, indentation, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(indentation+line+" "+word)) > helpWidth {
			b.WriteString(indentation + line + "\n")
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	b.WriteString(indentation + line + "\n")
}

// Markdown is the table for docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	for i, section := range Sections() {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("## " + section.Title + "\n\n")
		if section.Note != "" {
			b.WriteString(section.Note + "\n\n")
		}
		b.WriteString("| variable | read by | meaning | default |\n|---|---|---|---|\n")
		for _, v := range section.Variables {
			var readers []string
			for _, program := range v.ReadBy {
				readers = append(readers, string(program))
			}
			meaning := v.Meaning
			if v.Page != "" {
				meaning = "[" + meaning + "](" + v.Page + ")"
			}
			b.WriteString("| `" + strings.Join(v.Names, "`, `") + "` | " + strings.Join(readers, ", ") + " | " +
				meaning + " | " + v.Default + " |\n")
		}
	}
	return b.String()
}
