#pragma once

namespace beds::node {
class node;
}

namespace bedsd {

/// Every engine that this build has, for bedsd and for bedsctl --in-process alike.
void register_engines(beds::node::node& node);

} // namespace bedsd
