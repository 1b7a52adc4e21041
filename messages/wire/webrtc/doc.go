// Package webrtc is the generated code of webrtc.proto: what is sent on the data channels of WebRTC-direct.
package webrtc
