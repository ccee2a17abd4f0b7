package terminal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from outside safe to show in one line: what is no printable character, such as an escape sequence or
// a line end, is spelled out as in a Go string.
func Clean(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, unprintable) < 0 {
		return text
	}
	var b strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		if unprintable(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// CleanLines is [Clean] for text of several lines.
func CleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, "\t"))]
		lines[i] = indent + Clean(line[len(indent):])
	}
	return strings.Join(lines, "\n")
}

// Cut shortens a text that is as wide as the terminal or wider, so that its last column stays free. A width of 0 is
// unknown.
func Cut(text string, width int) string {
	if r := []rune(text); width > 1 && len(r) >= width {
		return string(r[:width-2]) + "…"
	}
	return text
}
