#pragma once

#include <functional>
#include <vector>

namespace beds::test {

/// What is to be done when the test case under way has ended, and all that lived in it; what fails
/// then is no failure of the test.
inline std::vector<std::function<void()>> after_the_test;

} // namespace beds::test
