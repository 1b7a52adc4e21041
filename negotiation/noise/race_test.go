//go:build race

package noise

// mayAllocate is less than one for each frame: the race detector has the cipher's pool drop a quarter.
const mayAllocate = 5
