#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace beds::test::mongodb {

/// Stands between a node and its MongoDB server and reads what is asked of the server, byte for
/// byte as the server gets it. (The server of our tests has neither a profiler nor a log of
/// commands.)
class command_tap {
public:
    command_tap(std::string host, std::uint16_t port);
    ~command_tap();
    command_tap(const command_tap&) = delete;
    command_tap& operator=(const command_tap&) = delete;

    [[nodiscard]] std::uint16_t port() const;

    /// The commands since the last call, by their shape: names, and types in the place of values;
    /// what is alike in an array stands once, and what the field `t_doc` stores is any data.
    /// Throws std::runtime_error for what is no OP_MSG that can be read.
    std::map<std::string, std::size_t> take();

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::test::mongodb
