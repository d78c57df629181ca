package measure

// Ticks reads the time-stamp counter. In an instruction-exact machine it counts executed
// instructions, and the nanoseconds the CPU was idle, since power-on.
func Ticks() uint64
