package atlasclient

import "context"

// Limiter is asked before each HTTP request that goes out (each page of a list is one), and told its end.
type Limiter interface {
	// Acquire waits until a request may be sent to the resource (the first path segment after the project:
	// flexClusters, clusters, serverless …) of a project. release must be called with what became of the request. On an
	// error nothing was sent, and the error comes back from the method of the client as it is, never as an [*Error].
	Acquire(ctx context.Context, groupID, resource string) (release func(Observation), err error)
}

type beforeSendKey struct{}

// BeforeSend has f called for each request that is sent with the context: once the limiter has granted the request,
// right before it goes. The round trips of its authentication come after f. If f ends the context, nothing is sent, and
// the context's error comes back as it is.
func BeforeSend(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, beforeSendKey{}, f)
}

func beforeSend(ctx context.Context) error {
	f, ok := ctx.Value(beforeSendKey{}).(func())
	if !ok {
		return nil
	}
	f()
	return ctx.Err()
}
