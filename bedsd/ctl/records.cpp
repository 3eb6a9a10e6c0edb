#include "records.hpp"

#include <beds/core/json.hpp>

#include <algorithm>
#include <utility>

namespace bedsctl {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::size_t piece = 256 * 1024;

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

} // namespace

std::optional<row_format> format_of_name(std::string_view file) {
    if (ends_with(file, ".csv")) {
        return row_format::csv;
    }
    if (ends_with(file, ".ndjson") || ends_with(file, ".jsonl")) {
        return row_format::ndjson;
    }
    return std::nullopt;
}

record_reader::record_reader(row_format format, source from, std::size_t longest)
    : format_(format), from_(std::move(from)), longest_(longest) {}

void record_reader::start_at(std::uint64_t offset, std::uint64_t line) {
    offset_ = offset;
    line_ = line;
}

void record_reader::take(record& into, std::size_t size, std::size_t line_end) {
    into.raw.assign(buffer_, begin_, size);
    into.line = line_;
    offset_ += size + line_end;
    into.end = offset_;
    into.wrong = record::defect::none;
    begin_ += size + line_end;
    seen_ = begin_;
    line_ += breaks_ + (line_end != 0 ? 1 : 0);
    breaks_ = 0;
    place_ = place::field_start;
}

record_reader::got record_reader::next(record& into) {
    for (;;) {
        for (; seen_ < buffer_.size(); ++seen_) {
            const char byte = buffer_[seen_];
            if (byte == '\n') {
                if (place_ != place::quoted) {
                    const bool pair = seen_ > begin_ && buffer_[seen_ - 1] == '\r';
                    take(into, seen_ - begin_ - (pair ? 1 : 0), pair ? 2 : 1);
                    return got::record;
                }
                ++breaks_;
            }
            if (format_ == row_format::ndjson) {
                place_ = place::plain;
                continue;
            }
            switch (place_) {
            case place::field_start:
            case place::plain:
                // Quotes within a plain field are no quotes: the record is refused by itself and
                // does not swallow those that follow.
                place_ = byte == ','                                   ? place::field_start
                         : byte == '"' && place_ == place::field_start ? place::quoted
                                                                       : place::plain;
                break;
            case place::quoted:
                place_ = byte == '"' ? place::after_quote : place::quoted;
                break;
            case place::after_quote:
                place_ = byte == '"'   ? place::quoted
                         : byte == ',' ? place::field_start
                                       : place::plain;
                break;
            }
        }
        if (seen_ - begin_ > longest_) {
            take(into, std::min<std::size_t>(seen_ - begin_, 4096), 0);
            into.wrong = record::defect::too_long;
            return got::record;
        }
        if (ended_) {
            if (begin_ == buffer_.size()) {
                return got::end;
            }
            const bool open = place_ == place::quoted;
            take(into, buffer_.size() - begin_, 0);
            into.wrong = open ? record::defect::open_quote : record::defect::none;
            return got::record;
        }
        buffer_.erase(0, begin_);
        seen_ -= begin_;
        begin_ = 0;
        const auto before = buffer_.size();
        buffer_.resize(before + piece);
        std::optional<std::size_t> read;
        try {
            read = from_(buffer_.data() + before, piece);
        } catch (...) {
            buffer_.resize(before);
            throw;
        }
        buffer_.resize(before + read.value_or(0));
        if (!read) {
            return got::nothing_yet;
        }
        ended_ = *read == 0;
        // At the beginning nothing is looked at before it is known whether a mark stands there.
        if (offset_ == 0 && before < byte_order_mark.size()) {
            const std::string_view start{buffer_};
            if (start.substr(0, 3) == byte_order_mark) {
                begin_ = byte_order_mark.size();
                offset_ = byte_order_mark.size();
                place_ = place::field_start;
                seen_ = begin_;
            } else if (!ended_ && start.size() < 3 &&
                       byte_order_mark.substr(0, start.size()) == start) {
                continue;
            }
        }
    }
}

std::optional<std::string> split_csv(std::string_view raw, std::vector<csv_field>& into) {
    std::size_t count = 0;
    const auto add = [&]() -> csv_field& {
        if (count == into.size()) {
            into.emplace_back();
        }
        auto& made = into[count++];
        made.text.clear();
        made.quoted = false;
        return made;
    };
    for (std::size_t at = 0;;) {
        auto& field = add();
        if (at < raw.size() && raw[at] == '"') {
            field.quoted = true;
            for (++at;;) {
                const auto quote = raw.find('"', at);
                if (quote == std::string_view::npos) {
                    return "a quote is not closed";
                }
                field.text.append(raw, at, quote - at);
                at = quote + 1;
                if (at >= raw.size() || raw[at] != '"') {
                    break;
                }
                field.text.push_back('"');
                ++at;
            }
            if (at < raw.size() && raw[at] != ',') {
                return "text follows a closing quote (a quote within quotes is doubled)";
            }
        } else {
            const auto end = std::min(raw.find(',', at), raw.size());
            field.text.assign(raw, at, end - at);
            if (field.text.find('"') != std::string::npos) {
                return "a quote within a field without quotes (such a field stands in quotes, and "
                       "its quotes are doubled)";
            }
            if (field.text.find('\r') != std::string::npos) {
                return "a carriage return within a field without quotes";
            }
            at = end;
        }
        if (at >= raw.size()) {
            break;
        }
        ++at;
    }
    into.resize(count);
    return std::nullopt;
}

std::optional<std::size_t> not_utf8_at(std::string_view text) {
    if (beds::core::is_utf8(text)) {
        return std::nullopt;
    }
    for (std::size_t at = 0;;) {
        std::size_t size = 1; // of the character that begins here
        while (size <= 4 && !beds::core::is_utf8(text.substr(at, size))) {
            ++size;
        }
        if (size > 4) {
            return at;
        }
        at += size;
    }
}

void append_csv(std::string& out, std::string_view text, std::string_view null_text) {
    if (text != null_text && !text.empty() &&
        text.find_first_of(",\"\r\n") == std::string_view::npos) {
        out.append(text);
        return;
    }
    out.push_back('"');
    for (const char byte : text) {
        if (byte == '"') {
            out.push_back('"');
        }
        out.push_back(byte);
    }
    out.push_back('"');
}

} // namespace bedsctl
