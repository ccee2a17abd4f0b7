// Package monitoring holds no code. Its tests check the Grafana dashboard and the Prometheus alerts in
// deploy/monitoring.
package monitoring
