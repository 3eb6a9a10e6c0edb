#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/row.hpp>
#include <beds/wire/cursor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beds::wire {

struct reply_limits {
    /// Bytes of rows, keys and out values in one reply. A result that no longer fits becomes
    /// LIMIT_EXCEEDED (its effect stays what it is) and leaves its place to those after it.
    std::size_t max_reply = 16 * 1024 * 1024;
    /// Bytes that all replies of a batch may hold; each of them may exceed it by one row, and the
    /// first reply counts only towards it. See `leave_out`.
    std::size_t max_batch = 32 * 1024 * 1024;
};

/// Turns rows and outcomes into reply bytes: cells go from the driver's buffers straight into them.
/// One per broker; keeps its memory from batch to batch. Not thread-safe.
class reply_writer final : public core::result_sink {
public:
    /// `cursors`: the keys of whoever reads the cursors; without them those of this process.
    explicit reply_writer(reply_limits limits = {},
                          std::shared_ptr<const cursor_keys> cursors = nullptr)
        : limits_(limits), cursor_keys_(std::move(cursors)) {}

    /// Begins a batch: forgets everything, makes place for that many operations.
    void start(std::size_t operations);
    /// These operations are answered in one reply. Without it each one has a reply of its own.
    void same_reply(core::op_index first, std::size_t count);
    /// The batch is one operation whose caller takes the reply in several messages: as soon as
    /// `bytes` of rows are there, `send` gets them as a reply with `part` and `"last":false`, and
    /// they are forgotten. `append_reply` makes the last part. A `reset` begins with part 0 again,
    /// which tells the caller to forget the parts before. `send` must not throw; it is called while
    /// the rows are read. Named sets are not divided.
    void in_parts(std::size_t bytes, std::string_view event,
                  std::function<void(std::string_view part)> send);
    /// For a batch that may be run again, in parts: once `max_batch` bytes are there, replies that
    /// still grow are left out. Their rows are dropped, `left_out` says so, and they are not to be
    /// appended. The first reply never is, so each batch answers something.
    void leave_out();
    /// Number of replies that were left out.
    [[nodiscard]] std::size_t left_out() const { return left_out_; }
    /// Was the reply that begins with this operation left out?
    [[nodiscard]] bool left_out(core::op_index first) const { return slots_[first].left_out; }
    /// Bytes of this batch that were kept or left out.
    [[nodiscard]] std::size_t offered() const { return bytes_.size() + left_out_bytes_; }
    /// This operation's caller wants int64 and uint64 as strings. Operations that share rows agree
    /// about it: the factory puts only such into one group.
    void int64_as_string(core::op_index op);

    void reset(core::op_index op) override;
    void begin_row(core::op_index op, const core::row_layout& layout) override;
    void cell(const core::value& given) override;
    void end_row() override;
    void share_rows(core::op_index from, core::op_index to) override;
    void no_rows(core::op_index op) override;
    void next(core::op_index op, std::uint64_t tag, std::span<const core::value> position) override;
    void total(core::op_index op, std::uint64_t total) override;
    void exists(core::op_index op, bool exists) override;
    void count(core::op_index op, std::uint64_t count) override;
    void key(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> key) override;
    void begin_set(core::op_index op, std::string_view name) override;
    void out(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> values) override;
    std::string_view encode(core::op_index op, const core::outcome& result,
                            core::arena& memory) override;
    void stored(core::op_index op, std::string_view reply) override;
    void raw(core::op_index op, std::string_view json_members) override;
    void limit(core::op_index op, std::size_t bytes) override { slots_[op].most = bytes; }

    /// Appends the reply of one message: `results[i]` is the outcome of operation `first + i`.
    void append_reply(std::string& out, std::string_view event, bool enveloped,
                      core::op_index first, std::span<const core::outcome> results) const;

private:
    enum class part : std::uint8_t { rows, set, key, out, next };
    static constexpr std::uint32_t none = 0xFFFFFFFFU;
    struct slice {
        std::size_t begin = 0;
        std::size_t end = 0;
        std::uint32_t next = none;
        part kind = part::rows;
    };
    struct slot {
        std::uint32_t first = none;
        std::uint32_t last = none;
        std::size_t bytes = 0;
        std::size_t most = static_cast<std::size_t>(-1); ///< of these
        std::uint64_t count = 0;
        std::uint64_t total = 0;
        std::string_view stored{};
        std::string_view raw{};
        core::op_index reply = 0; ///< the first operation of its reply
        bool has_rows = false, has_sets = false, has_keys = false, has_out = false;
        bool has_count = false, has_total = false, has_exists = false, exists = false;
        bool int64_as_string = false;
        bool too_large = false;
        bool left_out = false; ///< the whole reply; only in the slot of its first operation
    };

    slice& append_slice(core::op_index op, part kind);
    void append_value(const core::value& given, const core::field_type& type, bool as_string);
    void append_object(const core::row_layout& layout, std::span<const core::value> values,
                       bool as_string);
    void append_result(std::string& out, core::op_index op, const core::outcome& result) const;
    void append_parts(std::string& out, const slot& from) const;
    void append_part_members(std::string& out, bool last) const;
    void send_part();
    /// False when the result does not fit into its reply any more.
    bool account(slot& owner, std::size_t bytes);
    /// The same for bytes that have just been appended.
    bool account_new(slot& owner, std::size_t bytes);
    void leave_out(slot& reply);
    void finish_slice(core::op_index op);

    /// Of a reply in several messages.
    struct division {
        std::size_t bytes = 0; ///< 0: the reply is one message
        std::string_view event{};
        std::uint32_t next = 0;
        std::function<void(std::string_view)> send;
    };

    reply_limits limits_;
    std::shared_ptr<const cursor_keys> cursor_keys_;
    std::optional<cursor_codec> cursors_; ///< from the first cursor on
    division parts_;
    std::vector<slot> slots_;
    std::vector<slice> slices_;
    bool may_leave_out_ = false;
    std::size_t left_out_ = 0;
    std::size_t left_out_bytes_ = 0;
    std::vector<std::size_t> reply_bytes_; ///< by the reply's first operation
    std::string bytes_;
    std::string scratch_;
    const core::row_layout* layout_ = nullptr;
    core::op_index row_op_ = 0;
    std::size_t row_begin_ = 0;
    std::size_t column_ = 0;
};

/// A reply to a message that could not be decoded.
void append_refusal(std::string& out, std::string_view event, const core::outcome& result);

/// One result as a client reads it. Views into the reply's bytes and the arena; members that the
/// reply does not have are null.
struct result_view {
    core::outcome outcome;
    bool retryable = false;
    std::string_view code_text{}; ///< as sent; `outcome.code` is `internal` for a code unknown here
    const core::datum* rows = nullptr;
    const core::datum* keys = nullptr;
    const core::datum* out = nullptr;
    const core::datum* sets = nullptr;
    const core::datum* exists = nullptr;
    const core::datum* body = nullptr; ///< the whole result object
    std::string_view next{};
    std::optional<std::uint64_t> count;
    std::optional<std::uint64_t> total;
};

struct reply_view {
    enum class kind : std::uint8_t { ok, partial, error };
    kind status = kind::ok;
    bool enveloped = false;
    std::string_view event{};
    std::span<const result_view> results;
    std::uint32_t part = 0; ///< of a reply in several messages
    bool last = true;
};

/// Reads a reply; unknown members are ignored, as protocol version 1 asks of clients. False when
/// the bytes are no reply.
bool decode_reply(std::string_view body, core::json_parser& parser, core::arena& memory,
                  reply_view& into);

} // namespace beds::wire
