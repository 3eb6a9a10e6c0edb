#pragma once

namespace beds::test {

/// A case of this program has failed: what is skipped later must not hide it.
inline bool has_failed = false;

} // namespace beds::test
