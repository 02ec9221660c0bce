// unwind_cxx.cc - C++ code to be unwound out of: the standard library, exceptions, destructors.
#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" int unwind_cxx(int n);

namespace {
struct noisy {
	int &n;
	~noisy() { n++; }
};

__attribute__((noinline)) int thrower(int n, int &count)
{
	noisy guard{count};
	if (n % 2)
		throw std::runtime_error("odd " + std::to_string(n));
	return n;
}
}

int unwind_cxx(int n)
{
	std::vector<std::string> v;
	std::map<std::string, int> m;
	int count = 0;
	for (int i = 0; i < n; i++) {
		std::ostringstream s;
		s << i * 7919 % 101 << ' ' << i * 0.5;
		v.push_back(s.str());
		m[s.str()]++;
		try {
			thrower(i, count);
		} catch (const std::exception &e) {
			v.push_back(e.what());
		}
	}
	std::sort(v.begin(), v.end(), [](const std::string &a, const std::string &b) { return b < a; });
	return count + int(m.size()) + int(v.size());
}
