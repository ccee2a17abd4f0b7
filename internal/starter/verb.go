package starter

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// verb is what the command of an operation has of its own. The rest follows from the operation's row in the contract.
type verb struct {
	// short says what it does, and notes what else there is to know.
	short, notes string
	examples     string
	// file is a request as a FILE holds it; "" for that of a new cluster.
	file string
	// flags adds the flags that make a request.
	flags func(*requestFlags)
	// request is the request that the flags have made.
	request func() contract.Request
	// describe says what a request would do, after "would", for people.
	describe func(contract.Request) string
	// asks has the starter ask before it starts what cannot be undone.
	asks bool
	// await is what --wait waits for; nil for the end of the run.
	await awaitRun
}

// confirmation is the question before requests are started.
func (v verb) confirmation(requests []contract.Request) confirmation {
	question := confirmation{command: requests[0].Operation().Command, refused: "nothing was started"}
	for _, r := range requests {
		question.effects = append(question.effects, v.describe(r))
	}
	return question
}

// verbs are the commands of the operations by workflow type. Each file of a verb adds its own.
var verbs = map[string]func() verb{}

// requestFlags are the flags of a command that make a request. Each of its methods adds one or a few that go into
// fields of the request, and a verb picks those that it takes.
type requestFlags struct {
	cmd       *cobra.Command
	operation contract.Operation
	// byField are the flags by the path of the field that they set.
	byField map[string]string
	// required are the flags without which there is no request.
	required []string
	// checks look at what several flags say together.
	checks []func() error
	// known offers the shell the clusters that Temporal knows.
	known knownClusters
}

func (f *requestFlags) set() *pflag.FlagSet { return f.cmd.Flags() }

// check adds what is to hold of several flags together.
func (f *requestFlags) check(holds func() error) { f.checks = append(f.checks, holds) }

func (f *requestFlags) text(into *string, name, field, usage string) {
	f.set().StringVar(into, name, "", usage)
	f.byField[field] = name
}

// requiredText adds a flag without which there is no request. The shell offers the values.
func (f *requestFlags) requiredText(into *string, name, field, usage string, values ...string) {
	f.text(into, name, field, usage)
	f.required = append(f.required, name)
	complete(f.cmd, name, values...)
}

func (f *requestFlags) cluster(groupID, name *string) {
	f.text(groupID, "project-id", "groupId",
		"`ID` of the Atlas project, which Atlas also calls group: 24 hexadecimal digits")
	f.text(name, "name", "name", "`NAME` of the cluster: letters, digits and hyphens, 64 at most")
	f.required = append(f.required, "project-id", "name")
	f.known.completeProjects(f.cmd)
	f.known.completeNames(f.cmd)
}

func (f *requestFlags) place(p *contract.ProviderSettings) {
	f.requiredText(&p.BackingProviderName, "provider", "providerSettings.backingProviderName",
		"cloud, which is one of `AWS|AZURE|GCP`", "AWS", "AZURE", "GCP")
	f.requiredText(&p.RegionName, "region", "providerSettings.regionName",
		"Atlas's name of the `REGION`, such as US_EAST_1")
}

func (f *requestFlags) tags(into *[]contract.Tag) {
	f.set().Var((*tagsValue)(into), "tag", "tag as `KEY=VALUE`; may be given many times")
	f.byField["tags"] = "tag"
	complete(f.cmd, "tag")
}

// optionalTags stay nil without the flags, so that the cluster keeps its tags.
func (f *requestFlags) optionalTags(into *[]contract.Tag) {
	var none bool
	f.set().Var((*tagsValue)(into), "tag", "tag as `KEY=VALUE`; may be given many times: these are then all its tags")
	f.set().BoolVar(&none, "no-tags", false, "remove all tags")
	f.byField["tags"] = "tag"
	complete(f.cmd, "tag")
	f.check(func() error {
		switch {
		case none && *into != nil:
			return usageError{"--tag cannot go with --no-tags"}
		case none:
			*into = []contract.Tag{}
		}
		return nil
	})
}

// optionalProtection stays nil without the flag, so that the cluster keeps its termination protection.
func (f *requestFlags) optionalProtection(into **bool) {
	f.set().Var(&boolValue{into: into, value: func(set bool) bool { return set }}, "termination-protection",
		"`BOOL` true or false: whether Atlas is to refuse to delete the cluster")
	f.byField["terminationProtectionEnabled"] = "termination-protection"
	complete(f.cmd, "termination-protection", "true", "false")
}

func (f *requestFlags) adopt(into *bool, usage string) { f.set().BoolVar(into, "adopt", false, usage) }

// update sets what becomes of a cluster that is there and not as asked.
func (f *requestFlags) update(ifDifferent *string) {
	f.set().BoolFunc("update", "change tags and termination protection of a cluster that is there, rather than fail",
		func(text string) error {
			update, err := strconv.ParseBool(text)
			*ifDifferent = ""
			if update {
				*ifDifferent = contract.UpdateIfDifferent
			}
			return err
		})
}

func (f *requestFlags) terminationProtection(into *bool) {
	f.set().BoolVar(into, "termination-protection", false,
		"have Atlas refuse to delete the cluster until this is turned off")
}

// ownershipTag stays nil without the flag, so that the worker's default holds.
func (f *requestFlags) ownershipTag(into **bool, usage string) {
	f.optionalBool(into, "no-ownership-tag", usage, func(set bool) bool { return !set })
	f.byField["ownershipTag"] = "no-ownership-tag"
}

// optionalBool adds a flag whose value, as a function makes it, is nil without the flag.
func (f *requestFlags) optionalBool(into **bool, name, usage string, value func(bool) bool) {
	f.set().Var(&boolValue{into: into, value: value}, name, usage)
	f.set().Lookup(name).NoOptDefVal = "true"
}

// timeout stays nil without the flag, so that the worker's default holds.
func (f *requestFlags) timeout(into **int) {
	f.set().Var(&timeoutValue{into: into}, "timeout",
		"`DURATION` that the run may take, such as 90s or 2h; 1s to 24h")
	f.set().Lookup("timeout").DefValue = fmt.Sprintf("%gm", f.operation.DefaultTimeout.Minutes())
	complete(f.cmd, "timeout")
}

// usage is the flags that are required, for the first line of the help.
func (f *requestFlags) usage() string {
	var out []string
	for _, name := range f.required {
		value, _ := pflag.UnquoteUsage(f.set().Lookup(name))
		out = append(out, "--"+name+" "+value)
	}
	const most = 4 // the others go into a line of their own
	if len(out) <= most {
		return strings.Join(out, " ")
	}
	return strings.Join(out[:most], " ") + "\n      " + strings.Join(out[most:], " ")
}

// problems puts violations in terms of the flags.
func (f *requestFlags) problems(violations []contract.Violation) string {
	var b strings.Builder
	b.WriteString("nothing was started:")
	for _, v := range violations {
		var tag int
		var part string
		flag := "--" + f.byField[v.Field]
		if f.byField[v.Field] == "" {
			flag = v.Field
		}
		switch n, _ := fmt.Sscanf(v.Field, "tags[%d].%s", &tag, &part); {
		case (v.Field == "ownershipTag" || v.Field == "workflowId") && len(violations) > 1:
			// It follows from a --name that is too long.
		case v.Field == "timeoutSeconds":
			b.WriteString("\n  --timeout must be from 1s to 24h")
		case n == 2:
			fmt.Fprintf(&b, "\n  --tag number %d: the %s %s", tag+1, part, v.Problem)
		default:
			b.WriteString("\n  " + flag + " " + v.Problem)
		}
	}
	return b.String()
}

// tagsValue is the values of --tag.
type tagsValue []contract.Tag

func (t *tagsValue) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return usageError{fmt.Sprintf("--tag must be KEY=VALUE, got %q", text)}
	}
	*t = append(*t, contract.Tag{Key: key, Value: value})
	return nil
}

func (t *tagsValue) String() string { return tagsText(*t) }
func (t *tagsValue) Type() string   { return "tag" }

// boolValue is the value of a flag that sets a field only where it is given.
type boolValue struct {
	into  **bool
	value func(bool) bool
	text  string
}

func (b *boolValue) Set(text string) error {
	set, err := strconv.ParseBool(text)
	value := b.value(set)
	*b.into, b.text = &value, text
	return err
}

func (b *boolValue) String() string { return b.text }
func (b *boolValue) Type() string   { return "bool" }

// timeoutValue is the value of --timeout.
type timeoutValue struct {
	into **int
	text string
}

func (t *timeoutValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	seconds := int(math.Ceil(d.Seconds()))
	*t.into, t.text = &seconds, text
	return err
}

func (t *timeoutValue) String() string { return t.text }
func (t *timeoutValue) Type() string   { return "duration" }
