#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace beds::test {

/// A TCP proxy in this process, between a client and a server: it passes bytes on, late or not at
/// all, and breaks connections as networks do. One thread of its own; every verb may be called from
/// any thread and is in force when it returns.
///
/// Bytes keep their order, and are changed by `corrupt` alone. A direction holds at most 4 MiB of
/// one connection; then its sender feels back pressure.
class gate {
public:
    enum class direction { to_server, to_client };
    enum class cut_by {
        reset, ///< RST to both sides
        close, ///< FIN to both sides
    };

    /// Listens on a free port of 127.0.0.1. Connects to the server for each client that comes; a
    /// client is reset when the server refuses. Throws std::system_error, or std::invalid_argument
    /// for a host that is not known.
    gate(const std::string& host, std::uint16_t port);
    ~gate(); ///< resets every connection
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;

    [[nodiscard]] std::uint16_t port() const;

    /// Bytes that arrive from now on leave this much later, also the end of a stream.
    void delay(direction which, std::chrono::microseconds by);

    /// New clients are refused, as by a machine where nobody listens.
    void stop_accepting();
    void accept_again();

    /// RST to both sides of every connection, as by a machine that restarts or a firewall that
    /// forgets; what was under way is lost. New clients are welcome.
    void reset();

    /// The first connection on which this many bytes have passed in this direction, counted from
    /// now, is cut right after them. Then all pass again.
    void cut_after(direction which, std::uint64_t bytes, cut_by how = cut_by::reset);

    /// Nothing is taken and nothing passed on, on connections that there are and on new ones; they
    /// stay open and nothing is lost. Of a peer that hangs.
    void freeze(direction which);
    void thaw(direction which);

    /// Everything is taken and thrown away on connections that there are now, which stay open for
    /// ever: of a peer whose machine lost its power.
    void swallow(direction which);

    /// Of the bytes that arrive from now on, on all connections, about one in `one_in` has one bit
    /// flipped, until `most` were: by chance, the same for the same seed and the same bytes. 0 as
    /// `one_in`: none any more.
    void corrupt(direction which, std::uint64_t one_in, std::uint64_t seed, std::uint64_t most);
    /// One bit of the byte with this number, counted from 0 and from now, on the first connection
    /// that gets so far; once.
    void corrupt_at(direction which, std::uint64_t byte);

    /// This direction of every connection that there is ends behind what was taken so far, as by a
    /// peer that shuts its side down; what its sender sends later is thrown away. The other
    /// direction passes on.
    void half_close(direction which);

    struct counts {
        std::uint64_t accepted = 0;        ///< connections so far
        std::uint64_t open = 0;            ///< now
        std::uint64_t cut = 0;             ///< by `cut_after` so far
        std::uint64_t corrupted = 0;       ///< bytes, so far
        std::uint64_t bytes_to_server = 0; ///< passed on so far
        std::uint64_t bytes_to_client = 0;
    };
    [[nodiscard]] counts count() const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::test
