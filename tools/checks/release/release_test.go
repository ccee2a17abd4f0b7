package release

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestRelease(t *testing.T) {
	dist := filepath.Join(t.TempDir(), "dist")
	release := exec.CommandContext(t.Context(), "make", "-C", "../../..", "release",
		"DIST="+dist, "VERSION=v0.0.0-test", "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH)
	out, err := release.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	name := fmt.Sprintf("atlas-provisioner_v0.0.0-test_%s_%s", runtime.GOOS, runtime.GOARCH)

	archive, err := os.ReadFile(filepath.Join(dist, name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	checksums, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(archive), name); string(checksums) != want {
		t.Errorf("checksums.txt is %q, want %q", checksums, want)
	}

	programs := map[string]string{"worker": "worker ", "starter": "starter version ", "atlas-sim": "atlas-sim "}
	var got []string
	folder := unpack(t, strings.NewReader(string(archive)))
	entries, err := os.ReadDir(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := []string{"LICENSE", "README.md", "atlas-sim", "starter", "worker"}; !slices.Equal(got, want) {
		t.Fatalf("the archive holds %v, want %v", got, want)
	}
	commit, err := exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	for program, says := range programs {
		file := filepath.Join(folder, name, program)
		out, err := exec.CommandContext(t.Context(), file, "--version").CombinedOutput()
		want := says + "v0.0.0-test (" + strings.TrimSpace(string(commit)) + ")\n"
		if err != nil || string(out) != want {
			t.Errorf("%s --version: %v, %q, want %q", program, err, out, want)
		}
		requireStatic(t, file)
	}
}

// requireStatic fails where a program needs the system's loader or libraries. On macOS every program does, but without
// cgo it needs only the system's own.
func requireStatic(t *testing.T, file string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has a segment %s", file, p.Type)
		}
	}
}

// unpack returns the folder that it unpacks into.
func unpack(t *testing.T, from io.Reader) string {
	t.Helper()
	folder := t.TempDir()
	zipped, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(zipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, header.Name)
		if header.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o755)
		} else {
			content, readErr := io.ReadAll(archive)
			err = errors.Join(readErr, os.WriteFile(path, content, header.FileInfo().Mode()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
