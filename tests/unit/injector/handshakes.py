"""TLS handshakes in memory, as strict as OpenSSL goes."""

import ssl

HOST = "leasehold-injector.leasehold-system.svc"


def believes(authority: bytes, server: ssl.SSLContext) -> bool:
    """Whether a client that believes this authority alone believes what the server serves with."""
    client = ssl.create_default_context(cadata=authority.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # Python's default from 3.13 on
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return bool(ours.getpeercert())
