"""With this folder on PYTHONPATH, Python has no network: whatever tries to connect fails, and says so."""
import socket

def refuse(self, address, *args):
    if self.family == getattr(socket, 'AF_UNIX', None): return connect(self, address)
    raise OSError(f'this run is offline, and something wanted to connect to {address}')

connect = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = refuse
