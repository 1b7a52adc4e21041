// Package identify is the generated code of identify.proto: what a peer says about itself.
package identify
