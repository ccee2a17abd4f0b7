// Package compose holds no code: its tests check docker-compose.yml and the
// Dockerfile at the top of the repository, which no machine without a container
// engine could otherwise check. It is a module of its own so that the compose
// specification's loader is no dependency of the programs.
package compose
