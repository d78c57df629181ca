// Command gotries wants capabilities that it was not granted.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"capos.dev/capos"
)

func main() {
	_, err := capos.Granted[capos.Facet]("sum")
	fmt.Println(err)
	_, err = capos.Granted[capos.Endpoint]("mine")
	fmt.Println(err)
	_, err = capos.Granted[capos.Event]("ready")
	fmt.Println(err)
	_, err = capos.Granted[capos.DeviceManager]("devices")
	fmt.Println(err)
	err = exec.Command(os.Args[0]).Run()
	fmt.Println(err, errors.Is(err, fs.ErrPermission))
}
