"""python -m tern pub, sub and doctor.

SPDX-License-Identifier: Apache-2.0
"""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from broker import free_port
from conftest import PATIENCE, wait_until

import tern


def run(*arguments, stdin=b""):
    """Runs a command to its end: status, output, errors."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "tern", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-m", "tern", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def watcher(broker):
    with tern.Client(broker.url) as one:
        yield one


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["pub -t a -l", "sub -t a -W 1", "doctor"])
def test_standard_streams_may_be_closed(broker, command, closed):
    """No socket or pipe is taken for one of them."""
    line = f"exec {sys.executable} -X dev -m tern {command} {broker.url} {closed}"
    done = subprocess.run(["sh", "-c", line], input=b"", capture_output=True, timeout=60)
    assert done.returncode == (27 if command.startswith("sub") else 0), done
    assert b"Traceback" not in done.stderr


# ---- usage ----


@pytest.mark.parametrize("command", ["pub", "sub", "doctor"])
def test_help_and_version(command):
    status, output, _ = run(command, "--help")
    assert status == 0 and f"Usage: python -m tern {command}" in output.decode()
    assert b"--tls-version VERSION" in output and b"Exit status: 0" in output
    assert run(command, "--version")[1].decode() == (
        f"python -m tern {command} (Tern) {tern.__version__}\n"
    )


def test_the_command_itself():
    assert run("--help")[0] == 0 and run("--version")[0] == 0
    status, _, errors = run()
    assert status == 1 and errors.splitlines()[1] == "Try 'python -m tern --help'."
    assert run("paint")[0] == 1


USAGE = [
    (["pub", "-m", "x"], "say where to publish: -t TOPIC"),
    (["pub", "-t", "a"], "say what to publish: one of -m, -f, -l, -s and -n"),
    (["pub", "-t", "a", "-m", "x", "-n"], "say what to publish"),
    (["pub", "-t", "a/#", "-m", "x"], None),
    (["pub", "-t", "a", "-m", "x", "-q", "3"], "-q takes a number from 0 to 2, not '3'"),
    (["pub", "-t", "a", "-m", "x", "-p", "x"], "-p takes a number from 1 to 65535, not 'x'"),
    (["pub", "-t", "a", "-m", "x", "-V", "31"], "MQTT 3.1 is older"),
    (["pub", "-t", "a", "-m", "x", "-c"], "give the client an id with -i"),
    (["pub", "-t", "a", "-m", "x", "-P", "y", "-V", "mqttv311"], "add -u"),
    (["pub", "-t", "a", "-m", "x", "--psk", "00"], "belong together"),
    (["pub", "-t", "a", "-m", "x", "--psk", "0", "--psk-identity", "y"], "hexadecimal"),
    (["pub", "-t", "a", "-m", "x", "--key", "y"], "--key needs --cert"),
    (["pub", "-t", "a", "-m", "x", "--tls-version", "tlsv1"], "--tls-version takes"),
    (["pub", "-t", "a", "-m", "x", "--ciphers", "NO-SUCH"], "--ciphers: "),
    (["pub", "-t", "a", "-m", "x", "--proxy", "ftp://x"], "--proxy: "),
    (["pub", "-t", "a", "-m", "x", "--colour"], "--colour"),
    (["pub", "-t", "a", "-m", "x", "-h", "b", "mqtt://c"], "name the server once"),
    (["pub", "-t", "a", "-m", "x", "mqtt://c", "more"], "one word too many"),
    (["pub", "-t", "a", "-m", "x", "http://c"], "cannot use the server 'http://c'"),
    (["pub", "-m", "x", "-L", "mqtt://c"], "-L takes a server and a topic"),
    (["pub", "-m", "x", "-L", "mqtt://u:canary@c"], "-L takes a server and a topic"),
    (["pub", "-t", "a", "-m", "x", "mqtt://u:canary@c:99999"], "position 19: the port is above"),
    (["pub", "-t", "a", "-m", "x", "mqtt://u:can/ary@c"], "cannot use the server: position"),
    (["pub", "-t", "a", "-m", "x", "--proxy", "http://u:canary@c:0"], "--proxy: position"),
    (["sub"], "say what to subscribe to: -t FILTER"),
    (["sub", "-t", "a/#/b"], "cannot subscribe"),
    (["sub", "-t", "a", "-C", "0"], "-C takes a number"),
    (["doctor", "-W", "x"], "-W takes a number"),
]


@pytest.mark.parametrize(("arguments", "text"), USAGE, ids=[" ".join(one[0]) for one in USAGE])
def test_wrong_usage(arguments, text):
    status, output, errors = run(*arguments)
    assert status == 1 and output == b"" and (text or "") in errors
    assert errors.startswith(f"python -m tern {arguments[0]}: ") and "Traceback" not in errors
    assert "canary" not in errors and "ary@" not in errors


@pytest.mark.parametrize("option", ["-t", "-i", "-P"])
def test_arguments_that_are_no_text(option):
    status, output, errors = run("pub", "-t", "a", "-m", "x", "-u", "y", option, b"\xff")
    assert (status, output) == (1, b"")
    assert errors == f"python -m tern pub: {option}: holds half of a surrogate pair, at 0\n"


# ---- pub ----


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_publishing_a_text(broker, topic, watcher, qos):
    watcher.subscribe(topic, qos=2)
    port = str(broker.port)
    assert run("pub", "-h", "127.0.0.1", "-p", port, "-t", topic, "-m", "grüße", "-q", qos) == (
        0,
        b"",
        "",
    )
    message = watcher.receive(PATIENCE)
    assert message.text == "grüße" and message.qos == int(qos)


def test_publishing_what_is_in_a_file_or_on_standard_input(broker, topic, watcher, tmp_path):
    watcher.subscribe(topic, qos=1)
    (tmp_path / "file").write_bytes(b"\0from\nfile")
    common = ["-t", topic, "-q", "1", broker.url]
    assert run("pub", "-f", str(tmp_path / "file"), *common)[0] == 0
    assert run("pub", "-s", *common, stdin=b"all\nof it")[0] == 0
    assert run("pub", "-n", *common)[0] == 0
    assert run("pub", "-l", *common, stdin=b"one\n\ntwo\nrest")[0] == 0
    assert run("pub", "-l", *common, stdin=b"last\n")[0] == 0
    got = [watcher.receive(PATIENCE).payload for _ in range(8)]
    assert got == [b"\0from\nfile", b"all\nof it", b"", b"one", b"", b"two", b"rest", b"last"]
    status, _, errors = run("pub", "-f", str(tmp_path / "none"), *common)
    assert status == 2 and "cannot open" in errors


def test_publishing_retained_with_a_topic_in_the_url(broker, topic, watcher):
    assert run("pub", "-m", "kept", "-r", "-q", "1", "-L", f"{broker.url}/{topic}")[0] == 0
    watcher.subscribe(topic)
    assert watcher.receive(PATIENCE).retain
    watcher.publish(topic, b"", retain=True, qos=1).wait(PATIENCE)


def test_many_lines_are_all_delivered(broker, topic, watcher):
    watcher.subscribe(topic, qos=1)
    lines = [str(number).encode() for number in range(20000)]
    status, _, errors = run(
        "pub", "-l", "-q", "1", "-t", topic, broker.url, stdin=b"\n".join(lines)
    )
    assert (status, errors) == (0, "")
    assert [watcher.receive(PATIENCE).payload for _ in lines] == lines


def test_lines_are_published_as_they_come(broker, topic, watcher):
    watcher.subscribe(topic, qos=1)
    process = start("pub", "-l", "-q", "1", "-t", topic, broker.url)
    for text in (b"first", b"second"):
        process.stdin.write(text + b"\n")
        process.stdin.flush()
        assert watcher.receive(PATIENCE).payload == text
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_time_is_up(topic):
    url = f"mqtt://127.0.0.1:{free_port()}"
    status, _, errors = run("pub", "-t", topic, "-m", "x", "-q", "1", "-W", "1", url)
    assert status == 27 and "time is up: 1 of 1 messages were not delivered" in errors
    assert url.removeprefix("mqtt://") in errors.splitlines()[0]
    assert errors.splitlines()[1].startswith("python -m tern pub:   ")
    assert run("pub", "-t", topic, "-m", "x", "-W", "1", "--quiet", url) == (27, b"", "")


def test_a_name_that_does_not_exist_ends_it_at_once():
    status, _, errors = run("pub", "-t", "a", "-m", "x", "mqtt://no-such-host.invalid")
    assert status == 2 and "no-such-host.invalid" in errors


def test_debugging_tells_what_happens(broker, topic):
    status, _, errors = run("pub", "-d", "-t", topic, "-m", "x", broker.url)
    assert status == 0 and "connected to" in errors


# ---- sub ----


def test_subscribing(broker, topic, watcher):
    url = broker.url
    process = start("sub", "-t", topic + "/+", "-t", topic, "-q", "1", "-C", "3", "-v", url)
    ready = f"{topic}/ready"
    watcher.publish(ready, "r", qos=1, retain=True).wait(PATIENCE)
    assert process.stdout.readline() == f"{ready} r\n".encode()
    watcher.publish(topic + "/b", b"\0\xff", qos=1)
    watcher.publish(topic, "c", qos=1)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and errors == b""
    assert output == f"{topic}/b ".encode() + b"\0\xff\n" + f"{topic} c\n".encode()
    watcher.publish(ready, b"", qos=1, retain=True).wait(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(broker, topic, watcher, number):
    watcher.publish(topic, "kept", qos=1, retain=True).wait(PATIENCE)
    process = start("sub", "-t", topic, "-N", broker.url)
    assert process.stdout.read(4) == b"kept"
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and errors == b""
    watcher.publish(topic, b"", qos=1, retain=True).wait(PATIENCE)


def test_what_was_not_printed_comes_again(broker, topic, watcher):
    kept = ["-i", topic.replace("/", "-"), "-c", "-q", "1", "-t", topic, broker.url]
    assert run("sub", "-W", "1", *kept)[0] == 27  # makes the session
    for number in range(5):
        watcher.publish(topic, str(number), qos=1).wait(PATIENCE)
    assert run("sub", "-C", "2", *kept)[1] == b"0\n1\n"
    assert run("sub", "-C", "3", *kept)[1] == b"2\n3\n4\n"


def test_nobody_reads_the_output(broker, topic, watcher):
    watcher.publish(topic, "kept", qos=1, retain=True).wait(PATIENCE)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "tern", "sub", "-t", topic, broker.url],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert b"cannot write" in done.stderr
    watcher.publish(topic, b"", qos=1, retain=True).wait(PATIENCE)


def test_the_broker_comes_back(own_broker, topic):
    process = start("sub", "-t", topic, "-C", "1", own_broker.url)
    told = []
    reader = threading.Thread(target=lambda: told.extend(process.stderr), daemon=True)
    reader.start()
    assert wait_until(lambda: "New client connected" in own_broker.log())
    own_broker.restart()
    with tern.Client(own_broker.url) as publisher:

        def printed():
            publisher.publish(topic, "again").wait(PATIENCE)
            return process.poll() is not None

        assert wait_until(printed)
    assert process.returncode == 0 and process.stdout.read() == b"again\n"
    reader.join(PATIENCE)
    assert told and b"python -m tern sub: " in told[0]


# ---- doctor ----


def test_the_doctor_finds_a_server_well(broker):
    status, output, errors = run("doctor", broker.url)
    lines = output.decode().splitlines()
    assert (status, errors) == (0, "")
    steps = [line.split()[0] for line in lines]
    assert steps[:5] == ["addresses", "tcp", "connect", "peer", "mqtt"]
    assert f"127.0.0.1 port {broker.port}: open" in lines[1]
    assert "MQTT 5 accepted after" in lines[4] and "limit       maximum_qos: 2" in lines


def test_the_doctor_finds_nobody():
    port = free_port()
    status, output, _ = run("doctor", f"mqtt://127.0.0.1:{port}")
    lines = output.decode().splitlines()
    assert status == 2 and "Connection refused" in lines[1]
    assert lines[-2].startswith("connect     ") and lines[-1].startswith("            ")
    assert str(port) in lines[-2]


def test_the_doctor_does_not_print_passwords(broker):
    _, output, errors = run("doctor", broker.url.replace("://", "://joe:sesame@"))
    assert "sesame" not in output.decode() + errors


@pytest.mark.parametrize("password", ["se[same", "se]same", "[::1]"])
def test_brackets_in_a_password_are_no_address(broker, password):
    status, output, errors = run("doctor", broker.url.replace("://", f"://joe:{password}@"))
    assert (status, errors) == (0, "") and f"127.0.0.1 port {broker.port}: open" in output.decode()


def test_what_looks_like_a_host_in_a_path_is_none():
    port = free_port()
    _, output, _ = run("doctor", f"ws://joe:sesame@127.0.0.1:{port}/a@b:1/c")
    assert f"127.0.0.1 port {port}: " in output.decode()


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_the_doctor_is_given_no_name(host):
    status, output, errors = run("doctor", f"mqtt://{host}")
    assert (status, errors) == (2, "") and "cannot be a host's name" in output.decode()


def test_the_doctor_looks_at_certificates(root, tmp_path):
    subprocess.run([root / "samples/make-certificates.sh", tmp_path], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                    with context.wrap_socket(connection, server_side=True) as one:
                        one.recv(1000)  # CONNECT, and then it is gone
                except OSError:
                    if server.fileno() < 0:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"mqtts://127.0.0.1:{server.getsockname()[1]}"
        status, output, _ = run("doctor", "-V", "5", "--cafile", str(tmp_path / "ca.pem"), url)
        server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)
    text = output.decode()
    assert status == 2
    assert "tls         TLSv1.3" in text and "certificate 0: CN=localhost" in text
    assert "issued by CN=Tern trial authority" in text and "\nmqtt        " in text


def test_interrupted_before_all_was_delivered(topic):
    process = start("pub", "-t", topic, "-m", "x", "-q", "1", f"mqtt://127.0.0.1:{free_port()}")
    assert b"Connection refused" in process.stderr.readline()
    process.send_signal(signal.SIGINT)  # it still has some patience
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and b"Traceback" not in errors
