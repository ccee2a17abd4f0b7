package atlassim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Control asks the control interface of a simulator in another process, whose address is base
// ("http://127.0.0.1:8080"), for a path under /sim/. A body that is not nil goes as JSON, and the answer into what
// into points to, unless nil.
func Control(ctx context.Context, base, method, path string, body, into any) error {
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, base+"/sim/"+path, &b)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s /sim/%s: %s: %s", method, path, resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// controlHandler is the remote control under /sim/, for tests of real binaries and for demonstrations. It asks for no
// credential: keep the simulator on a loopback address. None of its requests are in the ledger.
//
//	GET    /sim/healthz           200 once the simulator serves
//	GET    /sim/ledger            [Entry]
//	GET    /sim/clusters          [Cluster]
//	DELETE /sim/clusters/{groupId}/{name}   as Server.Delete
//	POST   /sim/flex              {"groupId", "cluster": FlexRequest}, as Server.CreateFlex
//	POST   /sim/shared            SharedCluster, as Server.SeedShared
//	POST   /sim/state             {"groupId", "name", "state"}, as Server.SetState
//	POST   /sim/faults            [Fault], each as Server.AddFault
//	DELETE /sim/faults            as Server.ClearFaults
//	POST   /sim/revoke-tokens     as Server.RevokeTokens
//
// A success without a result is 204; a mistake is 400 {"error": "…"}.
func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim/healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /sim/ledger", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, s.Ledger())
	})
	mux.HandleFunc("GET /sim/clusters", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, s.Clusters())
	})
	mux.HandleFunc("DELETE /sim/clusters/{group}/{name}", func(w http.ResponseWriter, r *http.Request) {
		done(w, s.Delete(r.PathValue("group"), r.PathValue("name")))
	})
	mux.HandleFunc("POST /sim/flex", with(func(in struct {
		GroupID string      `json:"groupId"`
		Cluster FlexRequest `json:"cluster"`
	}) error {
		return s.CreateFlex(in.GroupID, in.Cluster)
	}))
	mux.HandleFunc("POST /sim/shared", with(func(in SharedCluster) error {
		if err := in.Validate(); err != nil {
			return err
		}
		s.SeedShared(in)
		return nil
	}))
	mux.HandleFunc("POST /sim/state", with(func(in struct {
		GroupID string `json:"groupId"`
		Name    string `json:"name"`
		State   string `json:"state"`
	}) error {
		return s.SetState(in.GroupID, in.Name, in.State)
	}))
	mux.HandleFunc("POST /sim/faults", with(func(in []Fault) error {
		for _, f := range in { // all or none
			if err := f.Validate(); err != nil {
				return err
			}
		}
		for _, f := range in {
			s.AddFault(f)
		}
		return nil
	}))
	mux.HandleFunc("DELETE /sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		done(w, nil)
	})
	mux.HandleFunc("POST /sim/revoke-tokens", func(w http.ResponseWriter, _ *http.Request) {
		s.RevokeTokens()
		done(w, nil)
	})
	return mux
}

// with decodes the request's JSON for the function.
func with[T any](f func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err == nil {
			err = f(in)
		}
		done(w, err)
	}
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(marshal(v), '\n'))
}
