"""The service: all threads, processes, sockets, devices, files and clocks."""
