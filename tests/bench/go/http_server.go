// http_server: a goroutine per connection answers HTTP/1.1 requests without a body. The same few lines as the C program, not
// net/http, so that threads are compared with goroutines and not one HTTP library with none. Prints `port N`.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"time"
)

var answer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n")

func connection(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	have := 0
	for have < len(buf) {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		rest := buf[:have+n]
		for {
			end := bytes.Index(rest, []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			if _, err = c.Write(answer); err != nil {
				return
			}
			rest = rest[end+4:]
		}
		have = copy(buf, rest)
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	time.AfterFunc(3*time.Minute, func() { log.Fatal("nobody ended this server") })
	fmt.Println("port", l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go connection(c)
	}
}
