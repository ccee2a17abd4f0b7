//go:build unix

package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddresses returns an address of loopback for each preferred port: with that port where it is free, and with
// another free one where it is not or where the preferred port is empty. All addresses are held until all are chosen,
// so that none comes twice.
//
// Ports that nobody prefers are below those that the system gives to outgoing connections. One of these connections
// could otherwise take the port of a program that is killed before the program starts again.
func FreeAddresses(preferred ...string) ([]string, error) {
	var addresses []string
	for _, port := range preferred {
		l, err := listen(port)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

func listen(preferred string) (net.Listener, error) {
	const first, count, attempts = 15000, 15000, 100
	port := preferred
	for range attempts {
		if port == "" {
			port = strconv.Itoa(first + rand.IntN(count))
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return l, nil
		}
		port = ""
	}
	return nil, fmt.Errorf("no free port of loopback between %d and %d", first, first+count)
}
