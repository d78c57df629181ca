package symbols

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"slices"
)

// Addresses gives those of some symbols of a file.
func Addresses(path string, names ...string) ([]uint64, error) {
	return eachOf(path, names, func(_ *elf.File, s elf.Symbol) (uint64, error) {
		return s.Value, nil
	})
}

// Entry is where a program begins.
func Entry(path string) (uint64, error) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.Entry, nil
}

// AfterPrologue gives for each of some functions of a file the address in it where its stack has
// room and its arguments are still in their registers. A function that has to get room for its
// stack begins anew, so it may come to its first address twice.
func AfterPrologue(path string, names ...string) ([]uint64, error) {
	return eachOf(path, names, func(file *elf.File, s elf.Symbol) (uint64, error) {
		data, err := file.DWARF()
		if err != nil {
			return 0, err
		}
		return prologueEnd(data, s)
	})
}

func eachOf(path string, names []string, of func(*elf.File, elf.Symbol) (uint64, error)) (
	addresses []uint64, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s has no %s", path, name)
		}
		address, err := of(file, symbols[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

func prologueEnd(data *dwarf.Data, function elf.Symbol) (uint64, error) {
	unit, err := data.Reader().SeekPC(function.Value)
	if err != nil {
		return 0, err
	}
	lines, err := data.LineReader(unit)
	if err != nil {
		return 0, err
	}
	var entry dwarf.LineEntry
	for err = lines.SeekPC(function.Value, &entry); err == nil; err = lines.Next(&entry) {
		if entry.Address >= function.Value+function.Size {
			break
		}
		if entry.PrologueEnd {
			return entry.Address, nil
		}
	}
	return 0, fmt.Errorf("the end of its prologue is not known (%v)", err)
}
