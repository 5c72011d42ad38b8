"""Family hls: C++ projects that are exact under a stand-in for the vendor's types, which finds any width too narrow."""
