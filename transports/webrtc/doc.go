// Package webrtc carries Muxed conduits over WebRTC-direct.
package webrtc
