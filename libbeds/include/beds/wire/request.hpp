#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace beds::wire {

/// Bounds of one message. What is above them is refused before anything is read further.
struct decode_limits {
    std::size_t max_body = 16 * 1024 * 1024; ///< bytes; above: LIMIT_EXCEEDED
    std::size_t max_depth = 100;             ///< nested arrays and objects, the envelope's included
    std::size_t max_operations = 4096;       ///< in one envelope; above: LIMIT_EXCEEDED
};

/// Why a whole message cannot be worked on. The text is for the caller and never echoes a value.
struct refusal {
    core::code code = core::code::invalid_envelope;
    std::string_view detail{};
    std::string_view field{};
};

/// Reads protocol version 1: request bytes to untyped operations. Keeps its working memory; one per
/// thread.
class request_decoder {
public:
    explicit request_decoder(decode_limits limits = {});

    /// Fills `mode`, `enveloped` and `operations` of `into`; the rest comes from the message's
    /// properties. Body and `memory` must outlive the request: nothing is copied that need not be.
    ///
    /// An operation that is not what the protocol allows (unknown member, wrong type, unknown `op`)
    /// is marked `refused` and harms no other; a message that is not an envelope at all is refused
    /// whole.
    std::optional<refusal> decode(std::string_view body, core::arena& memory, core::request& into);

private:
    decode_limits limits_;
    core::json_parser parser_;
};

/// Appends the request as the protocol has it: one operation bare, or an envelope. The ids and
/// deadlines that stand on operations are written; the message's own go into its properties.
void append_request(std::string& out, const core::request& from);

/// Makes an envelope (`each`) of operations that come one after the other. Keeps its memory.
class envelope_writer {
public:
    void start();
    void add(const core::operation& op);
    [[nodiscard]] std::size_t operations() const { return operations_; }
    [[nodiscard]] std::size_t bytes() const { return body_.size(); }
    /// The message: one operation bare, more as an envelope. Valid until the next `start`.
    std::string_view finish();

private:
    std::string body_;
    std::size_t operations_ = 0;
};

} // namespace beds::wire
