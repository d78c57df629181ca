package main

// The way in for a user's schema: ./capos schema gives the compiler's request on standard input,
// and these flags.

import (
	"errors"
	"flag"
	"io"
	"os"
)

// generateUser writes what was asked for. All is made before anything is written.
func generateUser(args []string, request io.Reader) error {
	fs := flag.NewFlagSet("capnpc-capos", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	file := fs.String("source", "", "")
	cFile := fs.String("c", "", "")
	goFile := fs.String("go", "", "")
	goPackage := fs.String("package", "main", "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *file == "" || fs.NArg() != 0 {
		return errors.New("it is started by ./capos schema")
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	message, err := io.ReadAll(request)
	if err != nil {
		return err
	}
	source := readSource(*file, string(text))
	schema, err := loadUserSchema(message, source)
	if err != nil {
		return err
	}
	texts := map[string][]byte{}
	if *cFile != "" {
		if texts[*cFile], err = generateUserC(schema, source); err != nil {
			return err
		}
	}
	if *goFile != "" {
		if texts[*goFile], err = generateUserGo(schema, source, *goPackage); err != nil {
			return err
		}
	}
	for name, text := range texts {
		if err := writeIfChanged(name, text); err != nil {
			return err
		}
	}
	return nil
}
