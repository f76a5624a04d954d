package config

//go:generate go run ./examples/generate -city examples/city.yaml
