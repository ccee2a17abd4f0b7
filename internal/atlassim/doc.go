// Package atlassim is a stand-in for the part of the MongoDB Atlas Admin API that creates, changes, upgrades and
// deletes clusters: Flex, shared-tier (M0), dedicated and serverless. It is an [http.Handler], used by the project's
// tests and by cmd/atlas-sim.
//
// It shares no code with the Atlas client, so that each checks the other. Field names, error codes, error texts and
// headers are those of Atlas. Each has one of these sources, named where it is used:
//
//   - "recorded": traffic recorded against Atlas on 2026-08-10;
//   - "docs": MongoDB's public error list
//     (https://www.mongodb.com/docs/atlas/reference/api-errors/) and API
//     reference (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/);
//   - "public runs": published logs of MongoDB's own acceptance tests;
//   - "assumed": Atlas's own answer is not known to us.
//
// State over time is a pure function of Config.Now and of recorded times: the package starts no goroutine and, but
// for a fault that hangs, no timer. A test that injects a clock therefore decides what is CREATING and what is IDLE,
// and never sleeps.
//
// Paths under /sim/ are the simulator's own remote control (see control.go); everything else is treated as a request
// to Atlas and noted in the ledger.
package atlassim
