"""The system around the array: processor, serial port, sample port; its firmware and its simulation."""
