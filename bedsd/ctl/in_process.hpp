#pragma once

#include "options.hpp"

#include <beds/client/client.hpp>

#include <memory>

namespace beds::node {
class node;
}

namespace bedsctl {

/// The data path of a configuration in this process, for `--in-process`: its templates, its
/// databases, no RabbitMQ and no bedsd. Writes are remembered under the account of the service, as
/// if they had come through RabbitMQ.
struct in_process {
    explicit in_process(const connection_options& given);
    ~in_process();
    in_process(const in_process&) = delete;
    in_process& operator=(const in_process&) = delete;

    std::unique_ptr<beds::node::node> node;
    std::unique_ptr<beds::client::client> client; ///< ends before the node
};

} // namespace bedsctl
