package config

// check finds what is wrong with a decoded document as a whole.
func (s *source) check(c *Config) {
}
