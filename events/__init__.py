"""The language of Ringfold: commands, facts, their envelope, codec and topics; imports nothing else of the project."""
