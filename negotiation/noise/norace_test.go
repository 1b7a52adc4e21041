//go:build !race

package noise

const mayAllocate = 1
