// Package monitoring holds no code: its tests check the Grafana dashboard and
// the Prometheus alerts in deploy/monitoring. It is a module of its own so that
// Prometheus's parser is no dependency of the programs.
package monitoring
