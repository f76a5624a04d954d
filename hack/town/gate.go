package town

import "context"

// gate installs and starts the appliance.
func (t *Town) gate(ctx context.Context) error {
	return ctx.Err()
}
