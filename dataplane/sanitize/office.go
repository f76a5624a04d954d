package sanitize

func (j *job) office(ext string) (result, error) {
	return result{}, refuse("type.unsupported", "", ext)
}
