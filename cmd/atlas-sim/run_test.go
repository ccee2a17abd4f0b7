package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const group = "64a1b2c3d4e5f60718293a4b"

// program is a run of the command, from its first line to its end.
type program struct {
	t      *testing.T
	url    string
	stop   context.CancelFunc
	code   chan int
	stderr bytes.Buffer
}

func noEnv(string) string { return "" }

func start(t *testing.T, getenv func(string) string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{t: t, stop: cancel, code: make(chan int, 1)}
	t.Cleanup(cancel)
	out, in := io.Pipe()
	go func() {
		p.code <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), getenv, in, &p.stderr)
		_ = in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no first line: %v, exit %d: %s", err, <-p.code, p.stderr.String())
	}
	url, found := strings.CutPrefix(strings.TrimSpace(line), "atlas-sim listening on ")
	if !found || !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("first line: %q", line)
	}
	p.url = url
	return p
}

func (p *program) get(path string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Accept", "application/vnd.atlas.2024-11-13+json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func (p *program) exit() int {
	p.t.Helper()
	p.stop()
	select {
	case code := <-p.code:
		return code
	case <-time.After(10 * time.Second):
		p.t.Fatal("it does not stop")
		return -1
	}
}

func TestServesUntilStopped(t *testing.T) {
	t.Parallel()
	p := start(t, noEnv, "-seed-shared", group+"/orders", "-seed-shared", group+"/billing")
	if status, _ := p.get("/sim/healthz"); status != 200 {
		t.Errorf("healthz: %d", status)
	}
	status, body := p.get("/api/atlas/v2/groups/" + group + "/clusters/orders")
	if status != 200 || !strings.Contains(body, `"stateName":"IDLE"`) {
		t.Errorf("seeded cluster: %d %s", status, body)
	}
	if _, body := p.get("/sim/clusters"); strings.Count(body, `"SHARED"`) != 2 {
		t.Errorf("clusters: %s", body)
	}
	if code := p.exit(); code != exitOK {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
	if log := p.stderr.String(); !strings.Contains(log,
		"path=/api/atlas/v2/groups/"+group+"/clusters/orders status=200") {
		t.Errorf("log: %s", log)
	}
}

// A request that a fault keeps hanging does not keep the program from ending.
func TestStopsWithARequestHanging(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sim.json")
	write(t, file, `{"faults": [{"kind": "hang"}]}`)
	p := start(t, noEnv, "-quiet", "-config", file)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/api/atlas/v2", nil)
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
		}
	}()
	for !strings.Contains(second(p.get("/sim/ledger")), `"fault":"hang"`) {
		continue
	}
	if code := p.exit(); code != exitOK {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
	<-ended
}

func second(_ int, body string) string { return body }

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	p := start(t, func(name string) string {
		return map[string]string{
			"MONGODB_ATLAS_PUBLIC_API_KEY": "abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY": "s3cret",
		}[name]
	}, "-quiet")
	if status, _ := p.get("/api/atlas/v2"); status != 401 {
		t.Errorf("without a credential: %d", status)
	}
	if code := p.exit(); code != exitOK || p.stderr.Len() != 0 {
		t.Errorf("exit %d: %s", code, p.stderr.String())
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sim.json")
	write(t, file, `{"createFor": "3s", "deleteFor": "4s", "clientId": "file", "clientSecret": "x",
		"shared": [{"groupId": "`+group+`", "name": "from-file"}]}`)
	env := func(name string) string {
		return map[string]string{"MONGODB_ATLAS_CLIENT_ID": "env", "MONGODB_ATLAS_CLIENT_SECRET": "y"}[name]
	}
	o, err := parse([]string{"-config", file, "-delete-for", "0", "-seed-shared", group + "/from-flag"}, env)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(o.sim.CreateFor, o.sim.DeleteFor, o.sim.UpgradeFor, o.sim.ClientID, len(o.sim.Shared),
		o.sim.Shared[1].Name)
	if want := fmt.Sprint(3*time.Second, 0*time.Second, 20*time.Second, "file", 2, "from-flag"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.json"), `{"creatFor": "3s"}`)
	write(t, filepath.Join(dir, "number.json"), `{"createFor": 3}`)
	write(t, filepath.Join(dir, "two.json"), `{"rateLimit": -1, "publicKey": "abcdefgh"}`)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{args: []string{"-adr", "x"}, want: []string{"flag provided but not defined: -adr"}},
		{args: []string{"serve"}, want: []string{`unexpected argument "serve": everything is a flag`}},
		{args: []string{"-upgrade-for", "soon"}, want: []string{`invalid value "soon" for flag -upgrade-for: ` +
			`parse error`}},
		{args: []string{"-seed-shared", "orders"},
			want: []string{`invalid value "orders" for flag -seed-shared: want GROUP/NAME: ` +
				`shared cluster "": project id "orders" is not 24 hexadecimal digits`}},
		{args: []string{"-config", dir + "/none.json"}, want: []string{"-config: open " + dir +
			"/none.json: no such file or directory"}},
		{args: []string{"-config", dir + "/bad.json"}, want: []string{"-config " + dir +
			`/bad.json: json: unknown field "creatFor"`}},
		{args: []string{"-config", dir + "/number.json"}, want: []string{"-config " + dir +
			`/number.json: a duration is a string such as "2s", not 3`}},
		{args: []string{"-config", dir + "/two.json"}, want: []string{"publicKey and privateKey: set both or neither",
			"rateLimit: -1 must not be negative"}},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), c.args, noEnv, &stdout, &stderr)
		want := "atlas-sim: " + strings.Join(c.want, "\natlas-sim: ") + "\nRun atlas-sim -help for the flags.\n"
		if code != exitUsage || stdout.Len() != 0 || stderr.String() != want {
			t.Errorf("%v: exit %d, stdout %q, stderr\n%swant\n%s", c.args, code, stdout.String(), stderr.String(), want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, noEnv, &stdout, &stderr); code != exitOK || stderr.Len() != 0 {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	for _, want := range []string{"atlas-sim: a stand-in", "-addr HOST:PORT", "-upgrade-for duration", "default 20s",
		"-seed-shared GROUP/NAME",
		"MONGODB_ATLAS_PUBLIC_API_KEY", "/sim/ledger", "dropQuery"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not in the help", want)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	p := start(t, noEnv)
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"-addr", strings.TrimPrefix(p.url, "http://")}, noEnv, io.Discard, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "choose another address with -addr") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
