// Package compose holds no code. Its tests check docker-compose.yml and the Dockerfile at the top of the repository,
// which a machine without a container engine could not check otherwise.
package compose
