#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Files of rows, CSV (RFC 4180) and NDJSON: read piece by piece, however large they are, and
/// written so that reading gives back what was there.
namespace bedsctl {

enum class row_format { csv, ndjson };

/// From the end of a file's name; nothing when it tells neither.
std::optional<row_format> format_of_name(std::string_view file);

/// One record of a file, as its bytes stand there, without the end of its line.
struct record {
    enum class defect {
        none,
        open_quote, ///< the file ends within quotes
        too_long,
    };
    std::string raw{};
    std::uint64_t line = 0; ///< in which it begins, from 1
    std::uint64_t end = 0;  ///< bytes of the file up to and with the end of its line
    record::defect wrong = defect::none;
};

/// Takes a stream of bytes apart into records. A record of CSV ends with a line that ends outside
/// quotes; one of NDJSON is a line. CRLF and LF end lines. A byte order mark at the very beginning
/// is skipped.
class record_reader {
public:
    /// Fills the buffer with up to so many bytes. 0: the end; nothing: none are there yet.
    using source = std::function<std::optional<std::size_t>(char* into, std::size_t most)>;
    enum class got { record, nothing_yet, end };

    record_reader(row_format format, source from, std::size_t longest = 16 * 1024 * 1024);

    /// A position to go on from, where the source begins: that of a record's end and the line that
    /// follows it.
    void start_at(std::uint64_t offset, std::uint64_t line);

    /// After a record with a defect there is no next one. What `source` throws comes through.
    got next(record& into);

private:
    enum class place { field_start, plain, quoted, after_quote };
    void take(record& into, std::size_t size, std::size_t line_end);

    row_format format_;
    source from_;
    std::size_t longest_;
    std::string buffer_;
    std::size_t begin_ = 0; ///< of the record, in the buffer
    std::size_t seen_ = 0;  ///< up to here the state below knows the buffer
    place place_ = place::field_start;
    std::uint64_t offset_ = 0; ///< of `begin_`, in the file
    std::uint64_t line_ = 1;   ///< of `begin_`
    std::uint64_t breaks_ = 0; ///< lines that ended within the record
    bool ended_ = false;
};

struct csv_field {
    std::string text{};
    bool quoted = false;

    friend bool operator==(const csv_field&, const csv_field&) = default;
};

/// The fields of a record; or what is wrong with it, for people.
std::optional<std::string> split_csv(std::string_view raw, std::vector<csv_field>& into);

/// Where in the text the first byte stands that is not UTF-8, from 0; nothing when all of it is.
std::optional<std::size_t> not_utf8_at(std::string_view text);

/// A value's text as a field: in quotes when it needs them, or would be read as `null_text`.
void append_csv(std::string& out, std::string_view text, std::string_view null_text);

} // namespace bedsctl
