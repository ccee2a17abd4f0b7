package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"github.com/atlas-provisioner/atlas-provisioner/internal/searchattributes"
)

// checkTemporal checks that Temporal is reached, and all that can be asked then.
func (d *doctor) checkTemporal(ctx context.Context) {
	version, err := d.connect(ctx)
	if d.client != nil {
		defer d.client.Close()
	}
	if err != nil {
		message, next := describeUnreachable(d.Temporal.HostPort, err)
		d.found(checkTemporal, Failed, message, next)
		d.skipRest("Temporal was not reached")
		return
	}
	d.found(checkTemporal, OK, "Temporal answers at "+d.Temporal.HostPort, "")
	d.checkServerVersion(version)
	if !d.checkNamespace(ctx) {
		d.skipRest("the namespace cannot be used")
		return
	}
	run := d.startCheckWorker(ctx)
	d.checkSearchAttributes(ctx)
	polled := d.checkTaskQueue(ctx, run)
	d.askWorker(ctx, run, polled)
}

// connect dials Temporal and answers the version of the server.
func (d *doctor) connect(ctx context.Context) (version string, err error) {
	ctx, cancel := d.brief(ctx)
	defer cancel()
	if d.client, err = client.DialContext(ctx, d.Temporal); err != nil {
		return "", err
	}
	// The client takes a server that does not know this call for an old one.
	info, err := d.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	return info.GetServerVersion(), err
}

// describeUnreachable says why Temporal is not reached, and what to do about it.
func describeUnreachable(address string, err error) (message, next string) {
	text := err.Error()
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	code := serviceerror.ToStatus(err).Code()
	switch {
	case code == codes.PermissionDenied, code == codes.Unauthenticated:
		return fmt.Sprintf("Temporal at %s refuses this client: %v", address, err),
			"check TEMPORAL_API_KEY, or the client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH)"
	case code == codes.Unimplemented, has("server preface", "unexpected HTTP status", "malformed header",
		"frame too large", "unexpected content-type"):
		return fmt.Sprintf("what answers at %s is no Temporal server", address),
			"set TEMPORAL_ADDRESS to the frontend of Temporal, whose port is 7233 by default"
	case has("x509:", "tls:", "certificate"):
		return fmt.Sprintf("Temporal at %s is not reached by TLS: %v", address, err),
			"check TEMPORAL_TLS_SERVER_CA_CERT_PATH, TEMPORAL_TLS_SERVER_NAME and TEMPORAL_TLS"
	case has("no such host", "produced zero addresses", "no children to pick from"):
		return fmt.Sprintf("the host of %s has no address", address), "correct TEMPORAL_ADDRESS"
	}
	return fmt.Sprintf("Temporal could not be reached at %s: %v", address, err),
		"start Temporal, or set TEMPORAL_ADDRESS to where it is"
}

// The versions of the Temporal server that this release is tested with, as docs/production.md says.
const (
	OldestServer = "1.29.1"
	NewestServer = "1.32.1"
)

func (d *doctor) checkServerVersion(version string) {
	tested := fmt.Sprintf("atlas-provisioner is tested with %s to %s", OldestServer, NewestServer)
	switch minor := minorVersion(version); {
	case minor < minorVersion(OldestServer):
		d.found(checkServerVersion, Warning, fmt.Sprintf("the Temporal server is %s; %s", version, tested),
			"upgrade the Temporal server, by one minor version at a time (docs/production.md)")
	case minor > minorVersion(NewestServer):
		d.found(checkServerVersion, Warning, fmt.Sprintf("the Temporal server is %s; %s", version, tested),
			"look for a newer release of atlas-provisioner")
	default:
		d.found(checkServerVersion, OK, "the Temporal server is "+version, "")
	}
}

// minorVersion is a number that grows with the version, of which it leaves out the patch; 0 where it is none.
func minorVersion(version string) int {
	var major, minor int
	_, _ = fmt.Sscanf(version, "%d.%d", &major, &minor)
	return major*1000 + minor
}

// checkNamespace reports whether the namespace can be used.
func (d *doctor) checkNamespace(ctx context.Context) bool {
	ctx, cancel := d.brief(ctx)
	defer cancel()
	name := d.Temporal.Namespace
	_, err := d.client.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: name})
	var missing *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case err == nil:
		d.found(checkNamespace, OK, fmt.Sprintf("the namespace %q is there", name), "")
		return true
	case errors.As(err, &missing), errors.As(err, &notFound):
		next := "set TEMPORAL_NAMESPACE, or run 'temporal operator namespace create --retention 30d --namespace " +
			name + "'"
		if d.isCloud() {
			next = "set TEMPORAL_NAMESPACE to its whole name, such as provisioning.a1b2c"
		}
		d.found(checkNamespace, Failed, fmt.Sprintf("Temporal has no namespace %q", name), next)
	case errors.As(err, &denied):
		d.found(checkNamespace, Failed, fmt.Sprintf("Temporal does not permit the namespace %q: %v", name, err),
			"check TEMPORAL_NAMESPACE and the rights of TEMPORAL_API_KEY, or of the client certificate")
	default:
		d.found(checkNamespace, Failed, fmt.Sprintf("the namespace %q cannot be read: %v", name, err), "try again")
	}
	return false
}

// isCloud reports whether the address is one of Temporal Cloud, where `temporal operator` is of no use.
func (d *doctor) isCloud() bool {
	host, _, err := net.SplitHostPort(d.Temporal.HostPort)
	return err == nil && (strings.HasSuffix(host, ".tmprl.cloud") || strings.HasSuffix(host, ".api.temporal.io"))
}

func (d *doctor) checkSearchAttributes(ctx context.Context) {
	ctx, cancel := d.brief(ctx)
	defer cancel()
	types, err := searchattributes.Types(ctx, d.client, d.Temporal.Namespace)
	if err != nil {
		d.found(checkSearchAttributes, Warning, fmt.Sprintf("the search attributes cannot be read: %v", err),
			"try again")
		return
	}
	var lacking, mistyped, problems, next []string
	for _, name := range searchattributes.Names {
		switch got := types[name]; got {
		case enumspb.INDEXED_VALUE_TYPE_KEYWORD:
		case enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED:
			lacking = append(lacking, name)
		default:
			mistyped = append(mistyped, name)
			problems = append(problems, fmt.Sprintf("%s is of type %s and must be Keyword", name, got))
		}
	}
	if len(lacking) > 0 {
		problems = append(problems, fmt.Sprintf("the namespace lacks %s", strings.Join(lacking, ", ")))
	}
	if len(problems) == 0 {
		d.found(checkSearchAttributes, OK, strings.Join(searchattributes.Names, ", ")+" are there", "")
		return
	}
	if len(mistyped) > 0 {
		next = append(next, "'temporal operator search-attribute remove --name "+strings.Join(mistyped, " --name ")+
			" --namespace "+d.Temporal.Namespace+"'")
	}
	next = append(next, "'"+d.addSearchAttributes(append(lacking, mistyped...))+"'")
	d.found(checkSearchAttributes, Failed, strings.Join(problems, "; ")+
		": runs go on, but cannot be found by project, cluster or state",
		"run "+strings.Join(next, ", then ")+", then restart the workers")
}

// addSearchAttributes is the command that adds search attributes.
func (d *doctor) addSearchAttributes(names []string) string {
	if d.isCloud() {
		return "tcld namespace search-attributes add --namespace " + d.Temporal.Namespace + " --search-attribute " +
			strings.Join(names, "=Keyword --search-attribute ") + "=Keyword"
	}
	return searchattributes.AddCommand(d.Temporal.Namespace, names...)
}
